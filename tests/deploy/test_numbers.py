"""Numbers in the documents are those of the code: defaults, limits, formats, open calls."""

from __future__ import annotations

import re

import pytest

from api.services.capacity import MAX_POLLS, MAX_STREAMS, THREADS
from tests.deploy.documents import Document, every_document
from worker.contract.lanes import WINDOW_CHUNKS
from worker.contract.repositories.api_keys import CACHE_S
from worker.contract.settings.environment import load
from worker.contract.settings.model import PREFIX, Settings
from worker.outbound.image_download import MAX_REDIRECTS
from worker.sources.manifest import MAX_LINE_BYTES
from worker.vision.images.formats import READERS

DEFAULT = re.compile(rf"`({PREFIX}[A-Z0-9_]+)`(?: \(|, )([\d,]+)( s| days|)\b(?! [a-z])")
SECONDS = {"": 1, " s": 1, " days": 86_400}
MIB = 2**20
DEFAULTS = load({})


def text_of(path: str) -> str:
    return " ".join(Document(path).text.split())


@pytest.mark.parametrize("path", [document.path for document in every_document()])
def test_defaults_beside_a_setting_are_its_own(path: str) -> None:
    for name, value, unit in DEFAULT.findall(text_of(path)):
        default = Settings.model_fields[name.removeprefix(PREFIX).lower()].default
        assert int(value.replace(",", "")) * SECONDS[unit] == default, name


def test_limits_of_the_api_guide() -> None:
    guide = text_of("docs/api.md")
    assert (
        f"a request carries {DEFAULTS.max_images_per_request:,} images and "
        f"{DEFAULTS.max_request_bytes // MIB} MiB, of JSON {DEFAULTS.max_json_bytes // MIB} MiB; "
        f"a picture has {DEFAULTS.max_image_bytes // MIB} MiB"
    ) in guide
    assert DEFAULTS.max_image_pixels == 100_000_000
    assert "100 million pixels, a job a million pictures" in guide
    assert DEFAULTS.max_job_images == 1_000_000
    submit, read = DEFAULTS.rate_submit_per_min, DEFAULTS.rate_read_per_min
    assert f"may make {submit:,} calls a minute that submit or change something, and" in guide
    assert f"{read:,} that read" in guide
    assert DEFAULTS.idempotency_ttl_s == 24 * 3600


def test_limits_of_the_security_guide() -> None:
    guide = text_of("docs/security.md")
    formats = [{"WEBP": "WebP"}.get(name, name) for name in READERS]
    assert ", ".join(formats) in guide
    packed, unpacked = DEFAULTS.max_archive_bytes // 2**30, DEFAULTS.max_unpacked_bytes // 2**30
    assert f"{packed} GiB packed and {unpacked} GiB unpacked" in guide
    assert f"A manifest's line has {MAX_LINE_BYTES // 1024} KiB at most" in guide
    assert MAX_REDIRECTS == 5
    assert "five at most" in guide
    assert CACHE_S == 60
    assert "within a minute where Redis did not" in guide


def test_numbers_of_scaling_and_architecture() -> None:
    scaling, architecture = text_of("docs/scaling.md"), text_of("docs/architecture.md")
    assert (
        f"answers {THREADS} quick calls, {MAX_STREAMS} event streams and {MAX_POLLS} long polls"
    ) in scaling
    assert f"event streams ÷ {MAX_STREAMS}, long polls ÷ {MAX_POLLS}" in scaling
    for guide in (scaling, architecture):
        assert f"{WINDOW_CHUNKS} chunks of" in guide
    assert f"chunks of {DEFAULTS.chunk_images} (`GUANWU_CHUNK_IMAGES`)" in architecture
    assert f"up to {DEFAULTS.batch_wait_ms:g} ms or until {DEFAULTS.batch_images}" in architecture
    assert DEFAULTS.chunk_threads == 3
    assert "a worker holds three (`GUANWU_CHUNK_THREADS`)" in architecture
