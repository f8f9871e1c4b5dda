"""Proposals of examples from feedback, and the versions that they become."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from functools import partial

from ulid import ULID

from api.catalog import build_status
from api.label_sets import build
from api.label_sets.example_selection import select_examples
from api.services.container import Services
from api.services.parallel import in_order
from api.submissions.submission import SubmittedImage
from guanwu.wire.feedback import Feedback
from guanwu.wire.label_sets import ClientSet, Example, Proposal, ProposedExample
from worker.contract.errors import (
    LabelSetBuilding,
    LabelSetFailed,
    NothingToAbsorb,
    ProposalOutdated,
    RedisUnavailable,
    UrlNotAllowed,
)
from worker.contract.inputs import urls
from worker.contract.inputs.s3 import may_read
from worker.contract.label_set import label_set_of
from worker.contract.objects import keys
from worker.contract.records.quota import Allowance
from worker.contract.repositories.feedback import FeedbackRecords

MOST_SKIPPED = 1000
MOST_EXAMPLES = 20_000  # of a set: the end of a build has all their features in memory
TURN_S = 60.0  # of a front door that died while it had the turn
WINDOW = 8  # storage calls of one request in flight


def propose(
    services: Services,
    tenant: str,
    set_id: str,
    *,
    since: dt.datetime | None,
    until: dt.datetime | None,
    job: str | None,
) -> Proposal:
    """Propose the tenant's feedback as examples for the newest ready version, and store it.

    Raises:
        LabelSetNotFound
        LabelSetBuilding, LabelSetFailed: no version is ready.
        NothingToAbsorb: the set is made of words.
    """
    base = _find_base(services, tenant, set_id)
    judgements = _walk_feedback(
        FeedbackRecords(services.store), tenant, job=job, since=since, until=until
    )
    examples, skipped = select_examples(
        judgements,
        label_set_of(base),
        absorbed=services.client_sets.absorbed(tenant, base),
        source_of=lambda feedback: _find_source(services, tenant, feedback),
        most=_count_room(services, base),
    )
    proposal = Proposal(
        id=f"lsp_{ULID()}",
        label_set=set_id,
        base=base.version,
        since=since,
        until=until,
        job=job,
        added=dict(Counter(example.zh for example in examples)),
        examples=tuple(examples),
        skipped=dict(Counter(feedback.reason for feedback in skipped)),
        skipped_feedback=tuple(skipped[:MOST_SKIPPED]),
        created_at=dt.datetime.now(dt.UTC),
    )
    services.client_sets.put_proposal(tenant, proposal)
    return proposal


def _count_room(services: Services, base: ClientSet) -> int:
    """The number of examples that may be added: as many as a request and the set may hold."""
    held = sum(label.examples or 0 for label in base.labels)
    return min(services.settings.max_images_per_request, MOST_EXAMPLES - held)


def accept(
    services: Services,
    tenant: str,
    proposal: Proposal,
    *,
    without: Set[str],
    key: str | None,
    allowances: Sequence[Allowance],
) -> ClientSet:
    """A new version, being built, with the proposed examples but for judgements `without`, and
    those taken back since.

    Raises:
        ProposalOutdated: the set has another version since.
        NothingToAbsorb: nothing is left of the proposal.
        LabelSetBuilding: somebody else is making a version just now.
        Whatever `build.build` raises.
    """
    proposed = [example for example in proposal.examples if example.feedback not in without]
    chosen = _drop_retracted(services, tenant, proposed)
    if not chosen:
        raise NothingToAbsorb("the proposal has no example, or none is left of it; absorb again")
    turn = f"labelset:{proposal.label_set}"
    if not services.records.turns.take(turn, every_s=TURN_S):
        raise LabelSetBuilding("a version of the label set is being made just now; try again soon")
    try:  # with the turn taken: nobody else makes a version of this number
        version = _build_next(*_find_base_and_next(services, tenant, proposal), chosen, key=key)
        pictures = [
            SubmittedImage(None, example.filename, address=example.source) for example in chosen
        ]
        examples = [_to_example(example) for example in chosen]
        return build.build(
            services, version, pictures, examples, tenant=tenant, allowances=allowances
        )
    finally:
        with contextlib.suppress(RedisUnavailable):
            services.records.turns.end(turn)


def _find_base_and_next(
    services: Services, tenant: str, proposal: Proposal
) -> tuple[ClientSet, int]:
    """The version that a proposal adds to, and the number of the next one."""
    base = _find_base(services, tenant, proposal.label_set)
    newest = services.client_sets.find(tenant, proposal.label_set)
    newest = build_status.refresh(services, tenant, newest)
    if newest.status == "building":
        raise LabelSetBuilding(f"version {newest.version} is still being built; wait for it")
    if base.version != proposal.base:
        raise ProposalOutdated(f"the label set has version {base.version} by now; absorb again")
    return base, newest.version + 1


def _to_example(proposed: ProposedExample) -> Example:
    return Example(
        label=proposed.label,
        filename=proposed.filename,
        feedback=proposed.feedback,
        box_px=proposed.box_px,
    )


def _drop_retracted(
    services: Services, tenant: str, examples: Sequence[ProposedExample]
) -> list[ProposedExample]:
    """Those whose judgement was not taken back."""
    records = FeedbackRecords(services.store)
    tasks = (partial(records.find, tenant, example.feedback) for example in examples)
    judgements = in_order(services.pools.store, tasks, window=WINDOW)
    return [
        example
        for example, judgement in zip(examples, judgements, strict=True)
        if judgement.retracted_at is None
    ]


def _build_next(
    base: ClientSet, number: int, chosen: Sequence[ProposedExample], *, key: str | None
) -> ClientSet:
    """The version that has the examples of `base`, and those chosen."""
    added = Counter(example.label for example in chosen)
    labels = tuple(
        label.model_copy(update={"examples": (label.examples or 0) + added[n]})
        for n, label in enumerate(base.labels)
    )
    return ClientSet(
        id=base.id,
        version=number,
        name=base.name,
        status="building",
        model=base.model,
        labels=labels,
        base=base.version,
        key=key,
        created_at=dt.datetime.now(dt.UTC),
    )


def _find_base(services: Services, tenant: str, set_id: str) -> ClientSet:
    """The newest version that is ready."""
    base = build_status.refresh(services, tenant, services.client_sets.newest_ready(tenant, set_id))
    if base.model is None:
        raise NothingToAbsorb("the label set is made of words; make one of examples to add to it")
    if base.status == "building":
        raise LabelSetBuilding(f"label set {base.ref!r} is still being built; wait for it")
    if base.status == "failed":
        raise LabelSetFailed(f"label set {base.ref!r} could not be built; its record says why")
    return base


def _walk_feedback(
    records: FeedbackRecords,
    tenant: str,
    *,
    job: str | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
) -> Iterator[Feedback]:
    """Feedback that was not retracted, the newest first."""
    if job is not None:
        walk: Iterable[Feedback] = reversed(list(records.of_job(tenant, job)))
    else:
        walk = records.walk(tenant, newest=True, since=since, until=until)
    for feedback in walk:
        in_time = (since is None or feedback.created_at >= since) and (
            until is None or feedback.created_at < until
        )
        if in_time and feedback.retracted_at is None:
            yield feedback


def _find_source(services: Services, tenant: str, feedback: Feedback) -> str | None:
    """The picture's address for a worker: kept with the feedback, or where the job found it."""
    if feedback.image.sha256 is not None:
        key = keys.input_key(tenant, feedback.image.sha256)
        if services.store.exists(key):
            return f"s3://{services.settings.s3_bucket}/{key}"
    address = feedback.address
    if address is None:
        return None
    if address.startswith("s3://"):
        return address if may_read(address, services.settings, tenant=tenant) else None
    try:
        urls.check_url(address, services.settings)
    except UrlNotAllowed:
        return None
    return address
