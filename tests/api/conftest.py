"""The front door over real services, and a hand that plays the worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from deploy.stack import Stack
from tests.api.calls import OTHER_TOKEN, TOKEN, Calls, close
from tests.api.hand import Hand
from tests.stack import SettingsFactory, empty_bucket
from worker.contract.settings import Settings

TOKENS = f"local={TOKEN},other={OTHER_TOKEN}"
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED")


def calls_to(settings: Settings) -> Iterator[Calls]:
    """Calls of the tenant `local` to an application with these settings."""
    app = create_app(settings)
    yield Calls(FlaskClient(app), token=TOKEN)
    close(app)


@pytest.fixture(scope="session")
def door(services: Stack) -> Iterator[Calls]:
    """One application for all tests that leave nothing behind that others could meet."""
    factory = SettingsFactory(
        redis_url=services.redis_url, redis_prefix="test-door", bucket=empty_bucket(services)
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in CREDENTIALS:
            patch.setenv(name, services.environment[name])
        made = calls_to(factory(tokens=TOKENS, s3_input_buckets="pictures"))
        calls = next(made)
    yield calls
    next(made, None)


@pytest.fixture
def calls(settings: SettingsFactory) -> Iterator[Calls]:
    """Calls to an application of this test's own."""
    yield from calls_to(settings(tokens=TOKENS, chunk_images=4, s3_input_buckets="pictures"))


@pytest.fixture
def limited(settings: SettingsFactory) -> Iterator[Calls]:
    """Calls to a front door with tiny limits."""
    yield from calls_to(
        settings(
            tokens=TOKENS,
            max_images_per_request=5,
            max_request_bytes=8192,
            max_json_bytes=4096,
            max_image_bytes=2000,
        )
    )


@pytest.fixture
def own_bucket_allowed(settings: SettingsFactory) -> Iterator[Calls]:
    """Calls to a front door whose operator allowed Guanwu's own bucket as an input."""
    yield from calls_to(settings(tokens=TOKENS, s3_input_buckets=settings().s3_bucket))


@pytest.fixture
def hand(settings: SettingsFactory) -> Hand:
    """Does by hand what a worker would."""
    return Hand(settings(tokens=TOKENS))
