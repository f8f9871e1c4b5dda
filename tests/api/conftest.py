"""The front door over real services, and a hand that plays the worker."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from api.services import label_index
from deploy.stack import Stack
from tests.api.fake_worker import Hand
from tests.api.requests import TOKENS, Calls, front_door, lasting_door
from tests.support.stack import Buckets, SettingsFactory


@pytest.fixture(scope="session")
def door(services: Stack, buckets: Buckets) -> Iterator[Calls]:
    """One application for all tests that leave nothing behind that others could meet."""
    inputs = {"s3_input_buckets": "pictures", "url_input_hosts": "img.example.com"}
    with lasting_door(services, buckets, prefix="test-door", **inputs) as (calls, _):
        yield calls


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index of labels is there when it is asked for, however busy this machine is."""
    monkeypatch.setattr(label_index, "WAIT_S", 30)


@pytest.fixture
def calls(settings: SettingsFactory) -> Iterator[Calls]:
    """Calls to an application of this test's own."""
    own = settings(tokens=TOKENS, chunk_images=4, s3_input_buckets="pictures")
    with front_door(own) as calls:
        yield calls


@pytest.fixture
def limited(settings: SettingsFactory) -> Iterator[Calls]:
    """Calls to a front door with tiny limits."""
    tiny = settings(
        tokens=TOKENS,
        max_images_per_request=5,
        max_request_bytes=8192,
        max_json_bytes=4096,
        max_image_bytes=2000,
    )
    with front_door(tiny) as calls:
        yield calls


@pytest.fixture
def own_bucket_allowed(settings: SettingsFactory) -> Iterator[Calls]:
    """Calls to a front door whose operator allowed Guanwu's own bucket as an input."""
    with front_door(settings(tokens=TOKENS, s3_input_buckets=settings().s3_bucket)) as calls:
        yield calls


@pytest.fixture
def hand(settings: SettingsFactory) -> Hand:
    """Does by hand what a worker would."""
    return Hand(settings(tokens=TOKENS))


@pytest.fixture
def at_work(hand: Hand) -> Iterator[Hand]:
    """Works on whatever comes, until the test ends."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            while hand.step():
                pass

    thread = threading.Thread(target=work)
    thread.start()
    yield hand
    stop.set()
    thread.join()
