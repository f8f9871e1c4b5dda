"""Tables of the workers: queue, processes, stages and latest errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from guanwu.wire.fleet import Fleet, Pulse, StagePulse, Trouble

ORDER = (
    *("fetch", "decode", "prepare", "wait", "forward", "explain", "judge"),
    *("render", "encode", "upload", "commit"),
)
NUMBERS = (
    *("images/s", "failed/s", "batch", "model busy"),
    *("GPU", "GPU memory", "CPU", "memory"),
)


def frame(fleet: Fleet) -> RenderableType:
    """One look at the workers."""
    parts: list[RenderableType] = [_queue(fleet)]
    if fleet.processes:
        parts += [_processes(fleet.processes), _stages(fleet.processes)]
    else:
        parts.append(Text("no worker runs: start one with `python -m worker run`", style="red"))
    troubles = latest(fleet.processes)
    if troubles:
        parts.append(_troubles(troubles))
    return Group(*(with_gap for part in parts for with_gap in (part, Text())))


def stale(last: RenderableType, why: str) -> RenderableType:
    """The last look, and why there is no newer one."""
    return Group(Text(f"as it was, waiting for the server: {why}", style="red"), last)


def _queue(fleet: Fleet) -> Text:
    waiting = ", ".join(f"{images:,} {lane}" for lane, images in fleet.pending.items())
    chunks = ", ".join(f"{count:,} {state}" for state, count in fleet.chunks.items())
    end = "" if fleet.eta_s is None or not fleet.eta_s else f", {_duration(fleet.eta_s)} left"
    return Text(
        f"queue: {waiting} images{end}   chunks: {chunks}   {fleet.images_per_s:.1f} images/s"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _processes(pulses: Iterable[Pulse]) -> Table:
    table = _table("host", "process")
    for name in NUMBERS:
        table.add_column(name, justify="right")
    table.add_column("slowest stage")
    for pulse in pulses:
        table.add_row(*_process(pulse))
    return table


def _process(pulse: Pulse) -> list[str]:
    device = pulse.device
    gpu = None if device is None else device.gpu_percent
    cpu = None if device is None else device.cpu_percent
    has_device = device is not None
    return [
        pulse.host,
        pulse.process,
        f"{pulse.images_per_s:.1f}" if has_device else "",
        f"{pulse.failed_per_s:.1f}" if has_device else "",
        "" if pulse.batch_images is None else f"{pulse.batch_images:.1f}",
        f"{pulse.model_busy:.0%}" if has_device else "",
        "" if gpu is None else f"{gpu:.0f}%",
        _gpu_memory(pulse),
        "" if cpu is None else f"{cpu:.0f}%",
        "" if pulse.memory_mb is None else f"{pulse.memory_mb:,.0f} MB",
        pulse.slowest or "",
    ]


def _gpu_memory(pulse: Pulse) -> str:
    used = None if pulse.device is None else pulse.device.gpu_memory_mb
    if used is None or not pulse.device_memory_mb:
        return ""
    return f"{used / pulse.device_memory_mb:.0%} of {pulse.device_memory_mb / 1024:.0f} GB"


def stages(pulses: Iterable[Pulse]) -> dict[str, StagePulse]:
    """Of all processes together: threads are added up, times weighted by calls."""
    busy: dict[str, float] = defaultdict(float)
    calls: dict[str, float] = defaultdict(float)
    for pulse in pulses:
        for name, stage in pulse.stages.items():
            busy[name] += stage.busy
            calls[name] += stage.busy * 1000 / stage.mean_ms if stage.mean_ms else 0.0
    return {
        name: StagePulse(busy=busy[name], mean_ms=1000 * busy[name] / calls[name])
        for name in sorted(busy, key=_place)
        if calls[name]
    }


def _place(stage: str) -> int:
    return ORDER.index(stage) if stage in ORDER else len(ORDER)


def _stages(pulses: Sequence[Pulse]) -> Table:
    slowest = {pulse.slowest for pulse in pulses}
    table = _table("stage")
    for name in ("calls/s", "mean ms", "threads busy"):
        table.add_column(name, justify="right")
    for name, stage in stages(pulses).items():
        table.add_row(
            f"{name} < slowest" if name in slowest else name,
            f"{stage.busy * 1000 / stage.mean_ms:.1f}",
            f"{stage.mean_ms:.1f}",
            f"{stage.busy:.2f}",
            style="bold" if name in slowest else None,
        )
    return table


def latest(pulses: Iterable[Pulse]) -> list[tuple[Pulse, Trouble]]:
    """The errors of all processes, the latest first."""
    errors = [(pulse, trouble) for pulse in pulses for trouble in pulse.troubles]
    return sorted(errors, key=lambda error: error[1].at, reverse=True)


def _troubles(errors: Sequence[tuple[Pulse, Trouble]]) -> Table:
    table = _table("last errors", "times", "last at", "host", "process")
    for pulse, trouble in errors:
        at = f"{trouble.at.astimezone():%H:%M:%S}"
        table.add_row(trouble.code, str(trouble.count), at, pulse.host, pulse.process)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column)
    return table
