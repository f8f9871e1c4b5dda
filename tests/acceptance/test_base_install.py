"""The distribution without extras: the front door runs, and nothing heavy comes with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from deploy.ports import keep_or_choose
from tests.support.stack import SettingsFactory

ROOT = Path(__file__).parents[2]


def test_the_base_install_runs_the_front_door_without_torch(
    tmp_path: Path, settings: SettingsFactory, s3: object
) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    empty = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")]
    subprocess.run(empty, check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    install = [
        *pip,
        "install",
        "-q",
        "--no-compile",
        "-c",
        str(ROOT / "deploy" / "constraints.txt"),
    ]
    projects = [str(ROOT / "api/client"), str(ROOT)]
    subprocess.run([*install, *projects], check=True, timeout=250)
    listed = subprocess.run(
        [*pip, "list", "--format=freeze"], check=True, capture_output=True, text=True
    ).stdout.lower()
    assert "guanwu==" in listed
    assert "guanwu-server==" in listed
    assert not [name for name in ("torch==", "pillow==", "opencv") if name in listed]

    port = keep_or_choose(None)
    environment = {**os.environ, **settings.environment()}
    command = [str(python), "-m", "gunicorn", "--config=python:api.gunicorn_conf"]
    command += [f"--bind=127.0.0.1:{port}", "api.wsgi:application"]
    door = subprocess.Popen(command, env=environment, cwd=tmp_path)
    try:
        assert answers(f"http://127.0.0.1:{port}/readyz")
        doctor = [str(python.with_name("guanwu")), "doctor"]
        told = subprocess.run(
            doctor, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "models, fonts and GPUs were not looked at" in told.stdout
    finally:
        door.terminate()
        door.wait(timeout=20)


def answers(url: str, *, within_s: float = 30) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            if httpx.get(url, timeout=2, trust_env=False).is_success:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    return False
