"""What the overlay `cpu` starts on Kubernetes is started here, and a job goes through it."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.ports import LOOPBACK
from guanwu import Client
from tests.acceptance.containers import MARKS, Container, Host, running, send_job, token_of
from tests.deploy.kustomization import Manifest, built, environment, image_of, pod

MANIFESTS = built("cpu")
PODS = {m["metadata"]["name"]: pod(m) for m in MANIFESTS if pod(m)}
ORDER = ("valkey", "seaweedfs", "api", "coordinator", "worker")

pytestmark = MARKS


@pytest.fixture(scope="module")
def host(secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    assert PODS.keys() == set(ORDER)
    containers = [c for name in ORDER for c in containers_of(name, secrets)]
    with running(tmp_path_factory.mktemp("host"), containers) as host:
        yield host


def containers_of(name: str, secrets: Path) -> list[Container]:
    """Of one pod, those that run first included."""
    spec = PODS[name]
    files = mounted_secrets(spec, secrets)
    return [
        Container(
            name=container["name"],
            command=container.get("command") or image_of(container).command,
            environment={"PATH": "/usr/bin:/bin", **environment(MANIFESTS, container)},
            probe=probe(container) if "readinessProbe" in container else [],
            grace_s=spec["terminationGracePeriodSeconds"],
            files=files,
        )
        for container in [*spec.get("initContainers", ()), *spec["containers"]]
    ]


def probe(container: Manifest) -> list[str]:
    """The readiness probe as a command."""
    asked: dict[str, Any] = container["readinessProbe"]
    if "exec" in asked:
        return list(asked["exec"]["command"])
    (port,) = (p for p in container["ports"] if p["name"] == asked["httpGet"]["port"])
    url = f"http://127.0.0.1:{port['containerPort']}{asked['httpGet']['path']}"
    return ["wget", "-q", "-O", "/dev/null", url]


def mounted_secrets(spec: Manifest, secrets: Path) -> dict[str, str]:
    """Path in the pod -> file here, of all keys of the Secret that its volumes name."""
    mounts = {m["name"]: m["mountPath"] for c in spec["containers"] for m in c["volumeMounts"]}
    found = {}
    for volume in spec["volumes"]:
        projected = (s["secret"] for s in volume.get("projected", {}).get("sources", ()))
        for source in (*projected, *filter(None, [volume.get("secret")])):
            for item in source["items"]:
                path = f"{mounts[volume['name']]}/{item['path']}"
                found[path] = str(secrets / item["key"])
    return found


def test_a_job_goes_through_the_pods(host: Host, secrets: Path, shared_data: Path) -> None:
    photos = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:3]
    send_job(host, secrets, photos)


def test_workers_and_coordinators_tell_prometheus_what_they_do(host: Host) -> None:
    for name, told in (("worker", "guanwu_images_total"), ("coordinator", "guanwu_jobs_total")):
        url = f"http://{LOOPBACK}:{host.metrics_ports[name]}/metrics"
        assert told in httpx.get(url, trust_env=False).text


def pending(host: Host) -> float:
    """What KEDA finds: it asks for each of these and adds them up."""
    (scaled,) = (m for m in MANIFESTS if m["kind"] == "ScaledObject")
    numbers = httpx.get(f"{host.url}/metrics", trust_env=False).text.splitlines()
    known = dict(line.rsplit(" ", 1) for line in numbers if not line.startswith("#"))
    asked = [trigger["metadata"]["valueLocation"] for trigger in scaled["spec"]["triggers"]]
    assert len(asked) == 2
    return sum(float(known[name]) for name in asked)


def test_workers_at_zero_are_woken_by_a_job_that_has_to_be_planned_first(
    host: Host, secrets: Path, shared_data: Path
) -> None:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for photo in sorted((shared_data / "data" / "photos").glob("*.jpg"))[:3]:
            file.write(photo, photo.name)
    host.stop("worker")
    assert pending(host) == 0
    with Client(host.url, token_of(secrets)) as client:
        upload = client.upload(archive.getvalue())
        job = client.submit_source("archive", {"upload": upload})
        assert eventually(lambda: pending(host) == 3)
        *_, worker = containers_of("worker", secrets)
        host.run(worker)
        assert job.wait(timeout_s=240).counts.succeeded == 3
    assert eventually(lambda: pending(host) == 0)


def eventually(fact: Callable[[], bool], *, within_s: float = 30) -> bool:
    end = time.monotonic() + within_s
    while not fact() and time.monotonic() < end:
        time.sleep(0.2)
    return fact()


@pytest.mark.parametrize("name", ["worker", "coordinator", "api"])
def test_pods_stop_within_their_grace_period(host: Host, name: str) -> None:
    """Last: what is stopped here is not started again."""
    assert host.stop(name) < PODS[name]["terminationGracePeriodSeconds"] - 5
