"""What importing the front door brings along."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

FORBIDDEN = ("torch", "transformers", "worker.vision", "worker.claims.tasks")
# Redis's client imports OpenTelemetry's SDK itself, where it is installed.
TRACING = (
    "opentelemetry.exporter",
    "requests",
    "google.protobuf",
    "worker.contract.telemetry.otlp",
)


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("api.app", FORBIDDEN),
        ("guanwu.cli.main", (*FORBIDDEN, "numpy")),
        ("guanwu.wire.jobs", ("httpx", "click", "rich", "api", "worker", "deploy")),
        ("guanwu", ("httpx", "api", "worker", "deploy")),
        (
            "worker.processes.device_worker",
            ("torch", "transformers"),
        ),  # around a model that has none
    ],
)
def test_front_door_and_a_workers_parts_load_no_torch_and_the_client_no_numpy_either(
    module: str, forbidden: tuple[str, ...]
) -> None:
    code = (
        f"import sys, {module}\n"
        f"found = [m for m in {forbidden!r} if m in sys.modules]\n"
        "sys.exit(', '.join(found) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*FORBIDDEN, *TRACING])
def test_a_module_that_guards_name_exists(name: str) -> None:
    assert importlib.util.find_spec(name) is not None


def test_nobody_imports_what_only_traces_need_while_they_are_off() -> None:
    code = (
        "import sys, api.app, worker.__main__, worker.processes.coordinator, "
        "worker.processes.device_assembly\n"
        "from worker.contract.settings.environment import load\n"
        "api.app.create_app(load({}))\n"
        f"found = [m for m in {TRACING!r} if m in sys.modules]\n"
        "sys.exit(', '.join(found) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_traces_without_their_packages_end_the_start_with_the_remedy() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None; import api.wsgi"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "GUANWU_TRACES": "otlp"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3
    assert done.stderr == (
        "guanwu: GUANWU_TRACES=otlp needs packages that are not installed; "
        "run `pip install 'guanwu-server[traces]'`\n"
    )


def test_front_door_and_coordinator_run_without_the_packages_of_workers() -> None:
    """The small image has none of them, and runs `python -m worker coordinate`."""
    missing = ("cv2", "filelock", "PIL", "psutil", "pynvml", "torch", "transformers")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"  # None: cannot be imported
        "import api.app, api.gunicorn_conf, worker.__main__, worker.processes.coordinator"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_bad_settings_end_the_start_with_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import api.wsgi"],
        env={"PATH": "", "GUANWU_LEASE_SECONDS": "5"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "guanwu: GUANWU_LEASE_SECONDS is not a setting of Guanwu; did you mean GUANWU_LEASE_S?"
    ]
