"""What tests of whole installations share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deploy.stack import Stack
from tests.acceptance import own_models
from tests.acceptance.containers import made_secrets
from tests.support.misbehaving_web_server import WebServer, web_server
from tests.support.otlp_collector import Collector, collecting
from tests.support.stack import CPU_SETTINGS, running_stack

MAX_BYTES = 2_000_000
TIMEOUT_S = 3


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of secrets that an operator makes before the first start."""
    return made_secrets(tmp_path_factory.mktemp("operator") / "secrets")


@pytest.fixture(scope="session")
def many_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with a tiny model of every family of one's own; its worker keeps answers."""
    own = {
        "GUANWU_MODELS_FILE": str(own_models.saved(tmp_path_factory.mktemp("models"))),
        "GUANWU_DEFAULT_MODELS": "efficientnet-lite0",
        "GUANWU_CACHE_MB": "16",
    }
    with running_stack(settings={**CPU_SETTINGS, **own}) as stack:
        yield stack


@pytest.fixture(scope="session")
def photos(shared_data: Path) -> Sequence[bytes]:
    """Four photographs."""
    found = sorted((shared_data / "data" / "photos").glob("*.jpg"))[:4]
    return [path.read_bytes() for path in found]


@pytest.fixture(scope="session")
def pages(photos: Sequence[bytes]) -> Iterator[WebServer]:
    """Somebody's web server, which the stack of URLs may fetch from."""
    files = {f"/{n}.jpg": photo for n, photo in enumerate(photos)}
    with web_server(files | {"/page.html": b"<html>no picture</html>"}) as server:
        yield server


@pytest.fixture(scope="session")
def traced_pages(photos: Sequence[bytes]) -> Iterator[WebServer]:
    """Another, of which the requests are counted."""
    with web_server({f"/{n}.jpg": photo for n, photo in enumerate(photos)}) as server:
        yield server


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="session")
def url_stack(pages: WebServer, traced_pages: WebServer, collector: Collector) -> Iterator[Stack]:
    """A stack that fetches from both, and tells the collector of all that it does."""
    own = {
        "GUANWU_DEFAULT_MODELS": "efficientnet-lite0",
        "GUANWU_URL_INPUT_HOSTS": "127.0.0.1",
        "GUANWU_URL_INPUT_HTTP": "true",
        "GUANWU_URL_INPUT_PORTS": f"{pages.port},{traced_pages.port}",
        "GUANWU_URL_INPUT_TIMEOUT_S": str(TIMEOUT_S),
        "GUANWU_OUTBOUND_ALLOW": "127.0.0.1/32",
        "GUANWU_MAX_IMAGE_BYTES": str(MAX_BYTES),
        "GUANWU_TRACES": "otlp",
        **told_to(collector),
    }
    with running_stack(settings=CPU_SETTINGS | own) as stack:
        yield stack


def told_to(collector: Collector) -> dict[str, str]:
    """Where OpenTelemetry sends, and that it does so soon."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
