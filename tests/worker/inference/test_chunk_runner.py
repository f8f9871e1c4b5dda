"""The chunk pipeline on real Redis and real S3; only the model is a small stand-in."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from guanwu.wire.base import new_id
from guanwu.wire.index_row import IndexRow
from guanwu.wire.jobs import ItemError
from guanwu.wire.map_statistics import Explanations
from guanwu.wire.options import Options
from guanwu.wire.results import DeviceInfo, ItemResult, Label
from guanwu.wire.statuses import ItemStatus, JobStatus
from tests.support.new_record import new_record
from tests.support.stack import SettingsFactory
from worker.claims.leases import Leases
from worker.contract.errors import GuanwuError, LeaseLost, RedisUnavailable
from worker.contract.lanes import LANES
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore
from worker.contract.records.connection import connect
from worker.contract.records.deliveries import DeliveryQueue
from worker.contract.records.job_record import Claim, JobRecord, Reopened, Tally
from worker.contract.records.records import Records
from worker.contract.repositories.webhooks import Webhooks
from worker.contract.settings.model import Settings
from worker.coordination.closing import JobFinalizer
from worker.inference.answer_cache import AnswerCache
from worker.inference.batcher import Batcher
from worker.inference.chunk_runner import ChunkRunner
from worker.inference.item_pipeline import ImageLimits, ItemPipeline
from worker.outbound.image_download import Downloads
from worker.results import coarse_maps
from worker.vision.analysis import Analysis, ExplanationMap, Prepared
from worker.vision.heatmaps.heatmap import Heatmap, Window
from worker.vision.images.decoding import Picture
from worker.vision.labels.client_labels import ClientLabels
from worker.webhooks.outbox import Outbox


class SmallEngine:
    """Says how bright a picture is, and maps its left half."""

    def __init__(self) -> None:
        self.during: Callable[[], None] = lambda: None

    def enough(self, options: Options) -> None:
        """Pictures are decoded whole."""

    def prepare(
        self, picture: Picture, options: Options, client: ClientLabels | None = None
    ) -> Prepared:
        framed = {"brightness": int(picture.rgb.mean())}
        return Prepared(
            width=picture.width,
            height=picture.height,
            framed=framed,  # type: ignore[arg-type]
            sha256=picture.sha256,
        )

    def analyze(self, batch: Sequence[Prepared], options: Options) -> list[Analysis | GuanwuError]:
        self.during()
        return [self._one(prepared, draws=options.draws) for prepared in batch]

    @staticmethod
    def _one(prepared: Prepared, *, draws: bool) -> Analysis:
        level = int(prepared.framed["brightness"])  # type: ignore[call-overload]
        label = Label(rank=1, zh=f"亮度{level}", en=str(level), id=level, score=0.9, model="small")
        heatmap = Heatmap(
            grid=np.array([[1.0, 0.0]], np.float32),
            window=Window(0, 0, prepared.width, prepared.height),
            width=prepared.width,
            height=prepared.height,
            signed=True,
        )
        made = ExplanationMap(
            model="small",
            method="cam",
            target={"label": label.zh, "id": level},
            slug=str(level),
            heatmap=heatmap,
        )
        maps = [made] if draws else []
        return Analysis(labels=[label], unknown=False, explanations=maps, models=[])


@dataclass
class Bench:
    """A worker's insides without Celery."""

    settings: Settings
    records: Records
    store: ObjectStore
    engine: SmallEngine
    chunks: ChunkRunner
    closing: JobFinalizer

    def submit(self, sources: Sequence[bytes | ManifestItem], options: Options) -> str:
        job = new_id("job")
        lines = []
        for index, source in enumerate(sources):
            if isinstance(source, ManifestItem):
                lines.append(source)
                continue
            key = f"inputs/{job}/{index}"
            self.store.put(key, source, content_type="image/png")
            address = f"s3://{self.store.bucket}/{key}"
            name = f"{index}.png"
            lines.append(ManifestItem(index=index, filename=name, source=address))
        body = "".join(line.model_dump_json() + "\n" for line in lines).encode()
        self.store.put(keys.manifest("one", job, 0), body, content_type="text/plain")
        self.records.jobs.create(
            new_record(job, total=len(lines), chunk_images=16, options=options)
        )
        return job

    def claim(self) -> Claim:
        claim = self.records.claims.claim()
        assert claim is not None
        return claim

    def read(self, job: str) -> JobRecord:
        record = self.records.jobs.read("one", job)
        assert record is not None
        return record

    def results(self, job: str) -> list[ItemResult]:
        lines = self.store.get(keys.chunk_results("one", job, 0)).splitlines()
        return [ItemResult.model_validate_json(line) for line in lines]


@pytest.fixture
def silent() -> Iterator[str]:
    """URL of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/a.png"


@pytest.fixture
def bench(settings: SettingsFactory, silent: str) -> Iterator[Bench]:
    own = settings(
        lease_s=0.6,
        url_input_hosts="127.0.0.1",
        url_input_http=True,
        url_input_ports=urlsplit(silent).port,
        url_input_timeout_s=1,
        outbound_allow="127.0.0.1/32",
    )
    client = connect(own)
    records = Records(client, own)
    store = ObjectStore(own)
    engine = SmallEngine()
    batcher = Batcher(engine, batch_images=16, wait_ms=5, known=AnswerCache(2**20))
    leases = Leases(records, heartbeat_s=own.heartbeat_s)
    limits = ImageLimits(max_bytes=1_000_000, max_pixels=10_000)
    pipeline = ItemPipeline(
        store,
        engine,
        downloads=Downloads(own),
        limits=limits,
        processor_slots=2,
    )
    batcher.start()
    leases.start()
    with ThreadPoolExecutor(8) as io, ThreadPoolExecutor(8) as web:
        chunks = ChunkRunner(
            records,
            store,
            pipeline,
            batcher,
            leases,
            dict.fromkeys(LANES, io),
            dict.fromkeys(LANES, web),
            lambda: DeviceInfo(name="cpu"),
        )
        webhooks = Webhooks(client, store, own)
        outbox = Outbox(webhooks, DeliveryQueue(client, own), records, store)
        closing = JobFinalizer(records, store, leases, io, outbox, max_attempts=3)
        yield Bench(own, records, store, engine, chunks, closing)
        leases.stop()
        batcher.stop()


def png(level: int, *, width: int = 40, height: int = 20) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height), (level, level, level)).save(file, "PNG")
    return file.getvalue()


def test_servers_that_say_nothing_hold_up_no_other_job(bench: Bench, silent: str) -> None:
    waiting = bench.submit([ManifestItem(index=n, source=silent) for n in range(8)], Options())
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(bench.chunks.run, bench.claim())
        job = bench.submit([png(level) for level in (0, 80)], Options())
        bench.chunks.run(bench.claim())
        assert bench.read(job).counts.succeeded == 2
        assert not slow.done()
    errors = [result.error for result in bench.results(waiting)]
    assert {error.code for error in errors if error} == {"url_unreachable"}
    assert bench.read(waiting).counts.failed == 8


def test_every_image_gets_its_own_labels_objects_and_place(bench: Bench) -> None:
    job = bench.submit([png(level) for level in range(0, 160, 10)], Options())
    bench.chunks.run(bench.claim())
    results = bench.results(job)
    assert [r.labels[0].id for r in results] == list(range(0, 160, 10))
    assert [r.index for r in results] == list(range(16))
    assert bench.read(job).counts.succeeded == 16
    for result in results:
        stored = bench.store.get(keys.labels("one", job, result.index))
        assert ItemResult.model_validate_json(stored) == result
        overlay = bench.store.get(result.explanations[0].artifacts["overlay"].key)
        assert Image.open(BytesIO(overlay)).size == (40, 20)


def test_labels_json_is_utf8_and_not_escaped(bench: Bench) -> None:
    job = bench.submit([png(7)], Options())
    bench.chunks.run(bench.claim())
    assert "亮度7" in bench.store.get(keys.labels("one", job, 0)).decode()


def test_a_small_manifest_comes_with_the_record(bench: Bench) -> None:
    name = "a\u2028b\n猫.png"
    key = f"inputs/{new_id('job')}"
    bench.store.put(key, png(40), content_type="image/png")
    line = ManifestItem(index=0, filename=name, source=f"s3://{bench.store.bucket}/{key}")
    job = new_id("job")
    bench.records.jobs.create(
        new_record(job, lane="hi", total=1, chunk_images=16, shard=line.model_dump_json() + "\n")
    )
    assert not bench.store.exists(keys.manifest("one", job, 0))
    bench.chunks.run(bench.claim())
    closing = bench.claim()
    assert closing.record.counts.succeeded == 1
    bench.closing.run(closing)
    done = bench.records.jobs.read("one", job)
    assert done is not None
    assert (done.status, done.shard) == (JobStatus.SUCCEEDED, None)


def test_bad_images_fail_alone_with_codes_and_remedies(bench: Bench) -> None:
    missing = ManifestItem(index=5, source=f"s3://{bench.store.bucket}/inputs/nothing")
    refused = ManifestItem(index=6, error=ItemError(code="data_undecodable", message="not base64"))
    sources: list[bytes | ManifestItem] = [
        png(1),
        b"",
        b"just text",
        png(2)[:-30],
        png(3, width=200, height=200),
        missing,
        refused,
        png(9),
    ]
    job = bench.submit(sources, Options())
    bench.chunks.run(bench.claim())
    codes = [r.error.code if r.error else None for r in bench.results(job)]
    assert codes == [
        None,
        "image_empty",
        "image_unsupported",
        "image_corrupt",
        "image_too_large",
        "input_missing",
        "data_undecodable",
        None,
    ]
    counts = bench.read(job).counts
    assert (counts.succeeded, counts.failed, counts.running) == (2, 6, 0)


def test_an_object_over_the_byte_limit_is_refused_unread(bench: Bench) -> None:
    job = bench.submit([b"x" * 1_000_001], Options())
    bench.chunks.run(bench.claim())
    error = bench.results(job)[0].error
    assert error is not None
    assert error.code == "image_too_large"
    assert "1,000,000" in error.message


def test_a_lease_outlives_a_model_slower_than_it(bench: Bench) -> None:
    job = bench.submit([png(1)], Options())
    bench.engine.during = lambda: time.sleep(bench.settings.lease_s * 2)
    claim = bench.claim()
    thread = threading.Thread(target=bench.chunks.run, args=[claim])
    thread.start()
    while thread.is_alive():
        assert bench.records.queue.sweep().overdue == 0
        time.sleep(0.05)
    assert bench.read(job).counts.succeeded == 1


def test_a_chunk_taken_over_meanwhile_is_not_committed_by_the_first(bench: Bench) -> None:
    job = bench.submit([png(1)], Options())
    first = bench.claim()
    second: list[Claim] = []

    def take_over() -> None:
        bench.engine.during = lambda: None
        bench.records.claims.release(first)
        second.append(bench.claim())

    bench.engine.during = take_over
    with pytest.raises(LeaseLost):
        bench.chunks.run(first)
    assert bench.read(job).counts.succeeded == 0
    bench.chunks.run(second[0])
    assert bench.read(job).counts.succeeded == 1


def test_a_retry_whose_worker_died_between_results_and_commit_counts_each_image_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = ManifestItem(index=1, source=f"s3://{bench.store.bucket}/inputs/late")
    job = bench.submit([png(1), late, png(3)], Options())
    bench.chunks.run(bench.claim())
    bench.closing.run(bench.claim())
    bench.store.put("inputs/late", png(2), content_type="image/png")
    assert bench.records.jobs.reopen("one", job, Tally(failed=1), [Reopened(0, 1)])
    claim = bench.claim()
    with monkeypatch.context() as dying:
        dying.setattr(bench.records.claims, "finish", lambda *_: pytest.fail("died"))
        with pytest.raises(pytest.fail.Exception):
            bench.chunks.run(claim)
    bench.records.claims.release(claim)
    bench.chunks.run(bench.claim())
    counts = bench.read(job).counts
    assert (counts.succeeded, counts.failed, counts.queued) == (3, 0, 0)
    assert coarse_maps.read_densities(bench.store, "one", job, 0).index.tolist() == [0, 1, 2]


def test_a_commit_waits_while_redis_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job = bench.submit([png(1)], Options(artifacts=["labels"]))
    finish, refusals = bench.records.claims.finish, iter([True, True, False])

    def shaky(claim: Claim, tally: Tally) -> object:
        if next(refusals):
            raise RedisUnavailable("away")
        return finish(claim, tally)

    monkeypatch.setattr(bench.records.claims, "finish", shaky)
    bench.chunks.run(bench.claim())
    assert bench.read(job).counts.succeeded == 1


def test_a_job_cancelled_while_queued_runs_nothing(bench: Bench) -> None:
    job = bench.submit([png(1), png(2)], Options())
    bench.records.jobs.cancel("one", job)
    bench.engine.during = lambda: pytest.fail("the model ran")
    bench.chunks.run(bench.claim())
    assert bench.read(job).counts.cancelled == 2
    assert {r.status for r in bench.results(job)} == {ItemStatus.CANCELLED}


def test_a_job_cancelled_during_inference_stores_nothing_more(bench: Bench) -> None:
    job = bench.submit([png(1)], Options())

    def cancel() -> None:
        bench.records.jobs.cancel("one", job)
        time.sleep(bench.settings.heartbeat_s * 2)

    bench.engine.during = cancel
    bench.chunks.run(bench.claim())
    assert bench.read(job).counts.cancelled == 1
    assert list(bench.store.keys(keys.item_prefix("one", job, 0))) == []


def test_closing_writes_the_final_objects_before_the_status(bench: Bench) -> None:
    job = bench.submit([png(1), b"", png(2)], Options(artifacts=["labels"]))
    bench.chunks.run(bench.claim())
    assert bench.read(job).status is JobStatus.RUNNING
    bench.closing.run(bench.claim())
    record = bench.read(job)
    assert record.status is JobStatus.PARTIALLY_SUCCEEDED
    results = bench.store.get(keys.results("one", job)).splitlines()
    errors = bench.store.get(keys.errors("one", job)).splitlines()
    assert [ItemResult.model_validate_json(line).index for line in results] == [0, 1, 2]
    assert [ItemResult.model_validate_json(line).index for line in errors] == [1]
    assert b'"partially_succeeded"' in bench.store.get(keys.job_record("one", job))


def test_cancelled_items_that_were_never_planned_stand_in_the_results(bench: Bench) -> None:
    job = bench.submit([png(1)], Options())
    bench.records.jobs.cancel("one", job)
    bench.records.claims.finish(
        bench.claim(), Tally(cancelled=1)
    )  # no chunk file: as if never planned
    bench.closing.run(bench.claim())
    assert bench.read(job).status is JobStatus.CANCELLED
    line = bench.store.get(keys.results("one", job)).splitlines()[0]
    assert ItemResult.model_validate_json(line).status is ItemStatus.CANCELLED


def test_closing_writes_an_index_to_filter_and_sort_by(bench: Bench) -> None:
    bench_job = bench.submit([png(5), b""], Options(artifacts=["labels"]))
    bench.chunks.run(bench.claim())
    bench.closing.run(bench.claim())
    lines = bench.store.get(keys.index("one", bench_job)).splitlines()
    first, second = (IndexRow.model_validate_json(line) for line in lines)
    assert (first.label, first.score, first.status) == ("亮度5", 0.9, ItemStatus.SUCCEEDED)
    assert (second.label, second.error) == (None, "image_empty")


def test_closing_tells_where_all_maps_lie(bench: Bench) -> None:
    job = bench.submit([*(png(level) for level in range(10)), b""], Options())
    bench.chunks.run(bench.claim())
    bench.closing.run(bench.claim())
    whole = Explanations.model_validate_json(bench.store.get(keys.explanations("one", job)))
    (found,) = whole.densities
    assert (found.method, found.target, found.overall.pictures) == ("cam", "label", 10)
    assert np.array(found.overall.density)[:, :7].sum() > 0.8  # of each, the left half
    assert len(found.labels) == 10
    summary = json.loads(bench.store.get(keys.summary("one", job)))
    assert summary["explanations"] == whole.summary.model_dump()
    assert summary["explanations"]["maps"][0]["verdicts"] == {"unjudged": 10}


def test_a_job_whose_chunks_kept_no_coarse_maps_is_closed_all_the_same(bench: Bench) -> None:
    job = bench.submit([png(5)], Options())
    bench.chunks.run(bench.claim())
    bench.store.delete([keys.chunk_densities("one", job, 0)])
    bench.closing.run(bench.claim())
    whole = Explanations.model_validate_json(bench.store.get(keys.explanations("one", job)))
    assert whole.densities[0].overall.pictures == 0
    assert whole.summary.maps[0].maps == 1


def test_a_chunk_keeps_coarse_maps_beside_its_results_of_known_pictures_too(bench: Bench) -> None:
    first = bench.submit([png(5)], Options())
    bench.chunks.run(bench.claim())
    bench.closing.run(bench.claim())
    second = bench.submit([png(5), b""], Options())
    bench.chunks.run(bench.claim())
    assert [result.cached for result in bench.results(second)] == [True, False]
    for job in (first, second):
        kept = coarse_maps.read_densities(bench.store, "one", job, 0)
        assert (kept.index.tolist(), kept.nth.tolist()) == ([0], [0])
        assert kept.cells.sum() == pytest.approx(1, abs=1e-5)
        assert kept.cells[0, :, :7].sum() > 0.8  # the map is of the left half


def test_a_chunk_without_maps_keeps_none(bench: Bench) -> None:
    job = bench.submit([png(5)], Options(artifacts=["labels"]))
    bench.chunks.run(bench.claim())
    assert not bench.store.exists(keys.chunk_densities("one", job, 0))
    assert len(coarse_maps.read_densities(bench.store, "one", job, 0)) == 0


def test_a_job_whose_files_cannot_be_written_ends_all_the_same(bench: Bench) -> None:
    job = bench.submit([png(5)], Options())
    bench.chunks.run(bench.claim())
    bench.store.put(keys.chunk_results("one", job, 0), b"no json", content_type="text/plain")
    for _ in range(3):
        final = bench.claim()
        with pytest.raises(ValueError, match="JSON"):
            bench.closing.run(final)
        bench.records.claims.release(final)
    bench.closing.run(bench.claim())
    record = bench.read(job)
    assert record.status.done
