"""`python -m tests.sleeping`: a supervisor and one worker on the CPU; `serve`: the worker.

The supervisor imports no torch, as the real one does not, and the worker neither torch nor
transformers: a start takes a second of the processor where it took eight.
"""

from __future__ import annotations

import os
import sys

import click

from worker.contract.settings import environment

BACKOFF_S = 0.05
SERVE = (sys.executable, "-m", "tests.sleeping", "serve")


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        from worker.observability.exporter import address_of
        from worker.processes.supervisor import supervise
        from worker.runtime.devices import Device

        own = environment.load()
        metrics = address_of(own)
        code = supervise(
            [Device()],
            drain_s=own.drain_s,
            command=SERVE,
            metrics=metrics,
            first_backoff_s=BACKOFF_S,
        )
        sys.exit(code)


@main.command()
@click.option("--device")
def serve(device: str) -> None:
    from tests.sleeping.behaviour import from_environment
    from tests.sleeping.engine import SleepingEngine
    from tests.sleeping.pipeline import SleepingPipeline
    from worker.contract.telemetry import logs
    from worker.processes.device_worker import work
    from worker.runtime.devices import Device

    own = environment.load().model_copy(update={"cache_mb": 0})  # its engine is asked every time
    logs.configure(own.log_level)
    told = from_environment(os.environ)
    engine = SleepingEngine(told, max_batch=own.batch_images)
    pipeline = None if told.io_ms is None else SleepingPipeline(io_ms=told.io_ms)
    work(own, Device(), engine, pipeline=pipeline)


if __name__ == "__main__":
    main()
