"""The label sets that clients make. S3 is the truth; Redis knows nothing of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from guanwu.wire.label_sets import ClientSet, Example, Proposal, parse_name
from worker.contract.errors import LabelSetNotFound, ObjectNotFound, ProposalNotFound
from worker.contract.objects import keys
from worker.contract.objects.store import JSON, JSONL, ObjectStore

_PROPOSAL = re.compile(r"lsp_[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)


class ClientSets:
    """All reads and writes of clients' label sets. Safe to share among threads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, tenant: str, version: ClientSet) -> None:
        """Write a version's record."""
        key = keys.client_set_version(tenant, version.id, version.version)
        self._store.put(key, version.model_dump_json().encode(), content_type=JSON)

    def find(self, tenant: str, name: str, *, hidden: bool = False) -> ClientSet:
        """A version by its name, `lbs_...@2`; the newest one for `lbs_...`.

        Args:
            hidden: find those that were deleted, too.

        Raises:
            LabelSetNotFound: unknown, deleted or somebody else's; nobody can tell which.
        """
        parsed = parse_name(name)
        if parsed is None:
            raise _not_found()
        set_id, version = parsed
        if not hidden and self._store.exists(keys.client_set_hidden(tenant, set_id)):
            raise _not_found()
        if version is None:
            version = max(self.versions(tenant, set_id), default=0)
        try:
            body = self._store.get(keys.client_set_version(tenant, set_id, version))
        except ObjectNotFound as exc:
            raise _not_found() from exc
        return ClientSet.model_validate_json(body, extra="ignore")

    def newest_ready(self, tenant: str, set_id: str) -> ClientSet:
        """The newest version that is ready; the newest of all while none is.

        Raises:
            LabelSetNotFound
        """
        _check_id(set_id)
        newest = self.find(tenant, set_id)
        if newest.status == "ready":
            return newest
        for version in reversed(self.versions(tenant, set_id)):
            candidate = self.find(tenant, f"{set_id}@{version}")
            if candidate.status == "ready":
                return candidate
        return newest

    def versions(self, tenant: str, set_id: str) -> Sequence[int]:
        """Numbers of a set's versions, ascending."""
        folder = keys.client_set_versions(tenant, set_id)
        names = (key.removeprefix(folder) for key in self._store.keys(folder))
        return sorted(int(name.removesuffix(".json")) for name in names)

    def walk(self, tenant: str, *, before: str | None = None) -> Iterator[ClientSet]:
        """The newest version of each set that is not hidden, the newest set first."""
        ids = list(self._store.folders(keys.client_sets_prefix(tenant)))
        for set_id in reversed(ids):
            if before is not None and set_id >= before:
                continue
            try:
                yield self.find(tenant, set_id)
            except LabelSetNotFound:  # hidden, or not yet whole
                continue

    def hide(self, tenant: str, set_id: str) -> None:
        """Nobody finds it any more, but jobs that name a version of it run on.

        Raises:
            LabelSetNotFound
        """
        _check_id(set_id)
        self.find(tenant, set_id)
        self._store.put(keys.client_set_hidden(tenant, set_id), b"{}", content_type=JSON)

    def erase(self, tenant: str, version: ClientSet) -> None:
        """Take back a version that never came to be."""
        own = [keys.client_set_version(tenant, version.id, version.version)]
        own.append(_examples(tenant, version))
        self._store.delete(own)

    def put_examples(self, tenant: str, version: ClientSet, examples: Iterable[Example]) -> None:
        lines = "".join(example.model_dump_json(exclude_none=True) + "\n" for example in examples)
        self._store.put(_examples(tenant, version), lines.encode(), content_type=JSONL)

    def examples(self, tenant: str, version: ClientSet) -> list[Example]:
        """The pictures that came with a version, item by item of its job.

        Raises:
            ObjectNotFound
        """
        lines = self._store.get(_examples(tenant, version)).splitlines()
        return [Example.model_validate_json(line, extra="ignore") for line in lines]

    def absorbed(self, tenant: str, version: ClientSet) -> frozenset[str]:
        """Ids of the judgements whose pictures are examples of a version; those that could not be
        used may be tried again, as far as the version names them."""
        absorbed: set[str] = set()
        while version.base is not None:
            failed = {failure.index for failure in version.failures}
            examples = enumerate(self.examples(tenant, version))
            absorbed |= {e.feedback for n, e in examples if e.feedback and n not in failed}
            version = self.find(tenant, f"{version.id}@{version.base}", hidden=True)
        return frozenset(absorbed)

    def put_proposal(self, tenant: str, proposal: Proposal) -> None:
        key = keys.client_set_proposal(tenant, proposal.label_set, proposal.id)
        self._store.put(key, proposal.model_dump_json().encode(), content_type=JSON)

    def proposal(self, tenant: str, set_id: str, proposal_id: str) -> Proposal:
        """A proposal: examples that feedback would add to a set.

        Raises:
            ProposalNotFound: unknown, or of another set.
        """
        if _PROPOSAL.fullmatch(proposal_id) is None:
            raise _no_proposal()
        try:
            body = self._store.get(keys.client_set_proposal(tenant, set_id, proposal_id))
        except ObjectNotFound as exc:
            raise _no_proposal() from exc
        return Proposal.model_validate_json(body, extra="ignore")


def _check_id(set_id: str) -> None:
    """A set is meant whole: a version's name is not its id, and names no folder."""
    parsed = parse_name(set_id)
    if parsed is None or parsed[1] is not None:
        raise _not_found()


def _no_proposal() -> ProposalNotFound:
    return ProposalNotFound("the label set has no such proposal; check its id")


def _not_found() -> LabelSetNotFound:
    return LabelSetNotFound("there is no such label set under your access token; check its id")


def _examples(tenant: str, version: ClientSet) -> str:
    return keys.client_set_part(tenant, version.id, version.version, "examples")
