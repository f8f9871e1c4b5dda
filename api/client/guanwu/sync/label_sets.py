# Generated from guanwu/aio by api/client/unasync.py: edit that, then run the script.
"""The client's own label sets: `client.labelsets`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from guanwu.core import label_names, requests
from guanwu.core.label_names import LabelNames, Names
from guanwu.core.models import parse_response
from guanwu.sync import _backend
from guanwu.sync.job import JobHandle
from guanwu.sync.transport import Transport
from guanwu.wire.label_sets import ClientSet, Proposal, SetPage


class LabelSets:
    """The tenant's own label sets. Errors are those of the client.

    Example:
        tea = client.labelsets.of_words([("龙井", "longjing"), ("铁观音", "tieguanyin")])
        tea = client.labelsets.of_examples(
            {"龙井": [Path("1.jpg"), Path("2.jpg")], "铁观音": [Path("3.jpg")]},
            model="dinov2-small",
        )
        job = client.submit(["cup.jpg"], options={"label_set": tea.id})
    """

    def __init__(self, api: Transport, upload: _backend.Upload) -> None:
        self._api = api
        self._upload = upload
        self._slots = _backend.upload_slots()

    def of_words(self, labels: Iterable[LabelNames], *, name: str | None = None) -> ClientSet:
        """A set of words for models with an open vocabulary; a label is one name, or a pair of a
        Chinese and an English one."""
        fields = [label_names.to_fields(label) for label in labels]
        call = requests.create_label_set(fields, None, name)
        return parse_response(ClientSet, self._api.call(call))

    def of_examples(
        self,
        examples: Mapping[Names, Iterable[Path | bytes]],
        *,
        model: str,
        name: str | None = None,
        wait: bool = True,
        timeout_s: float | None = None,
    ) -> ClientSet:
        """A set made of pictures of every label, as `model` sees them; ready, or failed with an
        `error`, unless one does not `wait` for that.

        Raises:
            WaitTimeout: it was not built within `timeout_s`; it goes on.
        """
        labels = [
            {
                **label_names.to_fields(label),
                "examples": _backend.map_parallel(
                    self._upload_example, pictures, slots=self._slots
                ),
            }
            for label, pictures in examples.items()
        ]
        call = requests.create_label_set(labels, model, name)
        version = parse_response(ClientSet, self._api.call(call))
        return self.wait(version, timeout_s=timeout_s) if wait else version

    def _upload_example(self, picture: Path | bytes) -> dict[str, str]:
        filename = {"filename": picture.name[-255:]} if isinstance(picture, Path) else {}
        return {"upload": self._upload(picture), **filename}

    def wait(self, version: ClientSet, *, timeout_s: float | None = None) -> ClientSet:
        """The version once it is ready, or has failed.

        Raises:
            WaitTimeout: not within `timeout_s`.
        """
        if version.status == "building" and version.job is not None:
            job = JobHandle(self._api, self._api.call(requests.get_job(version.job)))
            job.wait(timeout_s=timeout_s)
        return self.get(version.id, version=version.version)

    def get(self, set_id: str, *, version: int | None = None) -> ClientSet:
        """A version of a set; by default the newest."""
        call = requests.get_label_set(set_id, version)
        return parse_response(ClientSet, self._api.call(call))

    def list(self) -> Iterator[ClientSet]:
        """The newest version of every set, the newest set first."""
        return self._api.pages(SetPage, requests.list_label_sets)

    def absorb(
        self,
        set_id: str,
        *,
        job: str | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> Proposal:
        """Ask for what feedback would add to a set made of examples; nothing changes yet."""
        call = requests.absorb_feedback(set_id, job=job, since=since, until=until)
        return parse_response(Proposal, self._api.call(call))

    def accept(
        self,
        proposal: Proposal,
        *,
        without: Iterable[str] = (),
        wait: bool = True,
        timeout_s: float | None = None,
    ) -> ClientSet:
        """A new version with what was proposed, but for the feedback of the ids `without`.

        Raises:
            WaitTimeout: it was not built within `timeout_s`; it goes on.
        """
        call = requests.accept_proposal(proposal.label_set, proposal.id, without)
        version = parse_response(ClientSet, self._api.call(call))
        return self.wait(version, timeout_s=timeout_s) if wait else version

    def delete(self, set_id: str) -> None:
        """No new job may name it; those that run on it end well."""
        self._api.call(requests.delete_label_set(set_id))
