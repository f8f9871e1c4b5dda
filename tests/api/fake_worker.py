"""What a worker does to a job, done by hand through the same records and store."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace

from guanwu.wire.catalog import Catalog, LabelSetEntry, ModelEntry
from guanwu.wire.index_row import IndexRow
from guanwu.wire.jobs import ItemError
from guanwu.wire.results import (
    ArtifactLink,
    Diagnostics,
    Explanation,
    ImageFacts,
    ItemResult,
    Label,
)
from guanwu.wire.statuses import ItemStatus, JobStatus, settled_status
from worker.contract.label_set import LabelSet
from worker.contract.manifest_item import ManifestItem
from worker.contract.objects import keys
from worker.contract.objects.store import ObjectStore, split_address
from worker.contract.records.connection import connect
from worker.contract.records.job_record import Claim, JobRecord, Tally
from worker.contract.records.job_view import job_view
from worker.contract.records.keys import RedisKeys
from worker.contract.records.records import Records
from worker.contract.repositories.manifests import keep_manifest, read_shard
from worker.contract.settings.model import Settings
from worker.coordination.job_summary import JobSummary
from worker.sources.factory import open_source

CATALOG = Catalog(
    models=(
        ModelEntry(
            id="efficientnet-lite0",
            family="cnn",
            source="pypi:x",
            revision="1",
            label_set="imagenet1k",
            methods=("cam",),
            default=True,
        ),
    ),
    label_sets=(LabelSetEntry(id="imagenet1k", size=1000, languages=("zh", "en")),),
)
LABELS = (("虎斑猫", "tabby", 281), ("火箭", "missile", 657))
FLAT = Diagnostics(
    entropy=1, effective_area=1, border_mass=0.1, spread=0.3, morans_i=0.0, flat=True
)


class Hand:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.redis = connect(settings)
        self.records = Records(self.redis, settings)
        self.store = ObjectStore(settings)
        self.failing: set[int] = set()  # indices of items that will fail
        self.size_px = (4, 3)  # of every picture
        self.scores: dict[int, float] = {}  # of items, where not 0.7; labels vary, then
        self.others: dict[int, float] = {}  # what a second model scores the same label

    def publish(self, catalog: Catalog = CATALOG) -> None:
        key = RedisKeys(self.settings.redis_prefix).catalog
        self.redis.set(key, catalog.model_dump_json())

    def publish_labels(self, labels: LabelSet) -> None:
        """The names of a label set, and a catalogue that offers it beside one without names."""
        entries = (
            LabelSetEntry(
                id=labels.id, size=len(labels), languages=("zh", "en"), digest=labels.digest
            ),
            LabelSetEntry(id="unnamed", size=2, languages=("zh",)),
        )
        name = RedisKeys(self.settings.redis_prefix).label_set(labels.digest)
        self.redis.set(name, labels.as_json())
        self.publish(CATALOG.model_copy(update={"label_sets": entries}))

    def claim(self) -> Claim:
        claim = self.records.claims.claim()
        assert claim is not None, "nothing is ready"
        return claim

    def finish(self, claim: Claim) -> None:
        """Results for every item of a claimed chunk, then the commit."""
        items = self.manifest(claim, claim.number)
        before = {r.index: r for r in self._chunk(claim, claim.number) if claim.retry}
        kept = {n for n, r in before.items() if r.status is ItemStatus.SUCCEEDED}
        results = [before[i.index] if i.index in kept else self._result(claim, i) for i in items]
        self._put(keys.chunk_results(claim.record.tenant, claim.job, claim.number), results)
        failed = sum(r.status is ItemStatus.FAILED for r in results)
        self.records.claims.finish(claim, Tally(succeeded=claim.items - failed, failed=failed))

    def plan(self, claim: Claim) -> None:
        """All shards of a job's source in one step."""
        entries = open_source(claim.record, self.store, self.settings).entries("")
        items = [e.item.model_copy(update={"index": n}) for n, e in enumerate(entries)]
        size = claim.record.chunk_images
        shards = [items[n : n + size] for n in range(0, len(items), size)]
        for number, shard in enumerate(shards):
            body = "".join(item.model_dump_json() + "\n" for item in shard).encode()
            key = keys.manifest(claim.record.tenant, claim.job, number)
            self.store.put(key, body, content_type="application/x-ndjson")
        self.records.claims.extend(
            claim, after=0, chunks=len(shards), items=len(items), cursor="end", sealed=True
        )

    def finish_chunk(self) -> None:
        self.finish(self.claim())

    def work(self, job: str) -> None:
        """Work until the job is done."""
        while (record := self.records.jobs.read("local", job)) is None or not record.status.done:
            assert self.step(), "nothing is ready"

    def step(self) -> bool:
        """Work on what is ready next; False if nothing is."""
        claim = self.records.claims.claim()
        if claim is None:
            return False
        if claim.action == "finalize":
            self.close(claim)
        elif claim.action == "plan":
            self.plan(claim)
        elif claim.action == "cancelled":
            self.records.claims.finish(claim, Tally(cancelled=claim.items))
        else:
            self.finish(claim)
        return True

    def close(self, claim: Claim) -> None:
        record, now_ms = claim.record, time.time_ns() // 1_000_000
        results = [r for n in range(record.chunks) for r in self._chunk(claim, n)]
        failed = [r for r in results if r.status is not ItemStatus.SUCCEEDED]
        self._put(keys.results(record.tenant, record.job), results)
        self._put(keys.errors(record.tenant, record.job), failed)
        self._put(keys.index(record.tenant, record.job), [IndexRow.of(r) for r in results])
        self._put_summary(record, results)
        stop = record.stop
        status = settled_status(
            record.counts, cancelled=stop == "cancelled", expired=stop == "expired"
        )
        view = job_view(replace(record, status=status, finished_ms=now_ms), now_ms=now_ms)
        body = view.model_dump_json().encode()
        key = keys.job_record(record.tenant, record.job)
        keep_manifest(self.store, record)
        self.store.put(key, body, content_type="application/json")
        self.records.claims.settle(claim, JobStatus(status), finished_ms=now_ms)

    def _put_summary(self, record: JobRecord, results: Sequence[ItemResult]) -> None:
        account = JobSummary()
        for result in results:
            account.add(result)
        facts = {"job": record.job, "status": "succeeded", "counts": record.counts.model_dump()}
        body = json.dumps({**facts, **account.summary(), "wall_s": 12.5}).encode()
        key = keys.summary(record.tenant, record.job)
        self.store.put(key, body, content_type="application/json")

    def forget(self, job: str) -> None:
        """Redis loses the job's record, as it does when its time has come."""
        self.redis.delete(RedisKeys(self.settings.redis_prefix).job(job))

    def manifest(self, claim: Claim, number: int) -> list[ManifestItem]:
        body = read_shard(self.store, claim.record.tenant, claim.job, number)
        return [ManifestItem.model_validate_json(line) for line in body.splitlines()]

    def _chunk(self, claim: Claim, number: int) -> list[ItemResult]:
        key = keys.chunk_results(claim.record.tenant, claim.job, number)
        if not self.store.exists(key):
            return [self._stopped(claim, item) for item in self.manifest(claim, number)]
        return [ItemResult.model_validate_json(line) for line in self.store.get(key).splitlines()]

    def _put(self, key: str, results: Sequence[ItemResult | IndexRow]) -> None:
        body = "".join(r.model_dump_json() + "\n" for r in results).encode()
        self.store.put(key, body, content_type="application/x-ndjson")

    def _stopped(self, claim: Claim, item: ManifestItem) -> ItemResult:
        return ItemResult(job=claim.job, index=item.index, status=ItemStatus.CANCELLED)

    def _result(self, claim: Claim, item: ManifestItem) -> ItemResult:
        if item.index in self.failing:
            error = ItemError(code="input_missing", message="it is not there")
            item = item.model_copy(update={"error": error})
        result = ItemResult(
            job=claim.job,
            index=item.index,
            custom_id=item.custom_id,
            status=ItemStatus.SUCCEEDED if item.error is None else ItemStatus.FAILED,
            image=ImageFacts(filename=item.filename),
            error=item.error,
        )
        return self._analysed(claim, item, result) if item.error is None else result

    def _analysed(self, claim: Claim, item: ManifestItem, bare: ItemResult) -> ItemResult:
        facts = ImageFacts(
            sha256=self._sha256(item),
            filename=item.filename,
            format="PNG",
            width=self.size_px[0],
            height=self.size_px[1],
            bytes=29,
        )
        zh, en, number = LABELS[item.index % len(LABELS)] if self.scores else LABELS[0]
        score = self.scores.get(item.index, 0.7)
        label = Label(rank=1, zh=zh, en=en, id=number, score=score, model="efficientnet-lite0")
        labels = [label]
        if item.index in self.others:
            seen_so = {"score": self.others[item.index], "model": "another"}
            labels.append(label.model_copy(update=seen_so))
        maps = [
            self._map(claim, item, "dinov2-small", "attention", "free"),
            self._map(claim, item, "efficientnet-lite0", "cam", "281"),
        ]
        result = bare.model_copy(update={"image": facts, "labels": labels, "explanations": maps})
        key = keys.labels(claim.record.tenant, claim.job, item.index)
        self.store.put(key, result.model_dump_json().encode(), content_type="application/json")
        return result

    def _sha256(self, item: ManifestItem) -> str:
        """Of the picture's bytes; of a URL's, zeros."""
        if item.by_url or item.source is None:
            return "0" * 64
        bucket, key = split_address(item.source)
        return hashlib.sha256(self.store.get(key, bucket=bucket)).hexdigest()

    def _map(
        self, claim: Claim, item: ManifestItem, model: str, method: str, target: str
    ) -> Explanation:
        links = {}
        for kind in claim.record.options.artifacts:
            if kind in ("labels", "thumbnail"):
                continue
            key = keys.artifact(
                claim.record.tenant,
                claim.job,
                item.index,
                model=model,
                method=method,
                target=target,
                kind=kind,
            )
            self.store.put(key, f"{model} {kind}".encode(), content_type="image/png")
            links[kind] = ArtifactLink(key=key)
        explained = None if target == "free" else {"label": "虎斑猫", "id": 281, "score": 0.7}
        return Explanation(
            model=model, method=method, target=explained, artifacts=links, diagnostics=FLAT
        )
