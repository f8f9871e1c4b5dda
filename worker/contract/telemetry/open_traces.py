"""Opens the traces that a process's settings ask for."""

from __future__ import annotations

from worker.contract.errors import SettingsInvalid
from worker.contract.settings.model import Settings
from worker.contract.telemetry.tracing import OFF, Traces


def open_traces(settings: Settings, *, service: str, process: str) -> Traces:
    """Traces of one process; `OFF` unless GUANWU_TRACES says otherwise.

    Raises:
        SettingsInvalid: OpenTelemetry's packages are not installed.
    """
    if settings.traces == "off":
        return OFF
    try:
        # Imported here: nobody else should wait for it at the start.
        from worker.contract.telemetry.otlp import OtlpTraces
    except ModuleNotFoundError as exc:
        raise SettingsInvalid(
            f"GUANWU_TRACES={settings.traces} needs packages that are not installed; "
            "run `pip install 'guanwu-server[traces]'`"
        ) from exc
    return OtlpTraces(service, process)
