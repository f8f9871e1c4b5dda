"""Label sets of one's own through the Python client: `client.labelsets`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from guanwu.core import requests
from guanwu.core.label_names import LabelNames, Names, names_of
from guanwu.core.models import SetPage, parsed
from guanwu.core.upload_body import THREADS
from guanwu.sync.job import JobHandle
from guanwu.sync.transport import Transport
from guanwu.wire.label_sets import ClientSet, Proposal


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

    def __init__(self, api: Transport, upload: Callable[[Path | bytes], str]) -> None:
        self._api = api
        self._upload = upload

    def of_words(self, labels: Iterable[LabelNames], *, name: str | None = None) -> ClientSet:
        """A set of words for models with an open vocabulary; a label is one name, or a pair of a
        Chinese and an English one."""
        asked = [names_of(label) for label in labels]
        return parsed(ClientSet, self._api.call(requests.new_label_set(asked, None, name)))

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
        with ThreadPoolExecutor(THREADS, thread_name_prefix="upload") as pool:
            asked = [
                {**names_of(label), "examples": list(pool.map(self._example, pictures))}
                for label, pictures in examples.items()
            ]
        made = parsed(ClientSet, self._api.call(requests.new_label_set(asked, model, name)))
        return self.wait(made, timeout_s=timeout_s) if wait else made

    def _example(self, picture: Path | bytes) -> dict[str, str]:
        named = {"filename": picture.name[-255:]} if isinstance(picture, Path) else {}
        return {"upload": self._upload(picture), **named}

    def wait(self, version: ClientSet, *, timeout_s: float | None = None) -> ClientSet:
        """The version once it is ready, or has failed.

        Raises:
            WaitTimeout: not within `timeout_s`.
        """
        if version.status == "building" and version.job is not None:
            JobHandle(self._api, self._api.call(requests.get_job(version.job))).wait(
                timeout_s=timeout_s
            )
        return self.get(version.id, version=version.version)

    def get(self, set_id: str, *, version: int | None = None) -> ClientSet:
        """A version of a set; by default the newest."""
        return parsed(ClientSet, self._api.call(requests.label_set(set_id, version)))

    def list(self) -> Iterator[ClientSet]:
        """The newest version of every set, the newest set first."""
        return self._api.pages(SetPage, requests.label_sets)

    def absorb(
        self,
        set_id: str,
        *,
        job: str | None = None,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
    ) -> Proposal:
        """What feedback would add to a set made of examples; nothing changes yet."""
        call = requests.absorb(set_id, job=job, since=since, until=until)
        return parsed(Proposal, self._api.call(call))

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
        call = requests.accept(proposal.label_set, proposal.id, without)
        made = parsed(ClientSet, self._api.call(call))
        return self.wait(made, timeout_s=timeout_s) if wait else made

    def delete(self, set_id: str) -> None:
        """No new job may name it; those that run on it end well."""
        self._api.call(requests.delete_label_set(set_id))
