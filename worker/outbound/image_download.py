"""Pictures by URL: fetched from allowed hosts, within limits of size and time.

Sent without cookies, credentials or referrer; no proxy of the environment is used.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLCertVerificationError
from urllib.parse import urljoin

from worker.contract.addresses import Allowed
from worker.contract.errors import (
    AddressForbidden,
    GuanwuError,
    ImageTooLarge,
    OutboundFailed,
    OutboundTooLarge,
    UrlNotAllowed,
    UrlRefused,
    UrlUnreachable,
)
from worker.contract.inputs.urls import check_url, is_named, redact_url
from worker.contract.settings.model import Settings
from worker.outbound.http import HttpAnswer, Outbound, Resolve

MAX_REDIRECTS = 5
AGAIN_S = 1.0  # a passing trouble is tried once more after this, if there is time left
# Packed bodies would grow past the limit when they are unpacked, so none is asked for.
HEADERS = {"user-agent": "guanwu", "accept": "image/*", "accept-encoding": "identity"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429})


class Downloads:
    """Any number of threads may call `fetch` at once."""

    def __init__(self, settings: Settings, *, resolve: Resolve | None = None) -> None:
        self._settings = settings
        self._named = self._outbound(settings.allowed_addresses, resolve)
        self._any_public = self._outbound(Allowed(), resolve)

    def _outbound(self, allowed: Allowed, resolve: Resolve | None) -> Outbound:
        return Outbound(
            allowed,
            timeout_s=self._settings.url_input_timeout_s,
            max_bytes=self._settings.max_image_bytes,
            resolve=resolve,
        )

    def fetch(self, url: str) -> bytes:
        """The bytes at a URL; what they are is for the decoder to say.

        Raises:
            UrlNotAllowed: the URL, or one that it redirects to, leads where nobody may fetch.
            UrlRefused: the server does not give it.
            UrlUnreachable: the server is away, too slow or has trouble.
            ImageTooLarge: it has more bytes than an image may have; the rest was not read.
        """
        end_s = time.monotonic() + self._settings.url_input_timeout_s
        try:
            return self._fetch(url, end_s)
        except UrlUnreachable:
            if time.monotonic() + AGAIN_S > end_s:
                raise
            time.sleep(AGAIN_S)
            return self._fetch(url, end_s)

    def _fetch(self, url: str, end_s: float) -> bytes:
        hop = url
        for _ in range(MAX_REDIRECTS + 1):
            self._check_url(hop, named=url)
            with self._answer(hop, end_s) as answer:
                if answer.status not in _REDIRECTS:
                    _check_answer(answer, hop)
                    self._check_size(answer, hop)
                    return b"".join(answer.pieces)
                hop = _target(answer, hop)
        raise UrlRefused(
            f"{redact_url(url)} redirects more than {MAX_REDIRECTS} times; name its end"
        )

    def _check_size(self, answer: HttpAnswer, url: str) -> None:
        """Refuse what says itself that it is too large; what does not is counted as it comes."""
        size = answer.headers.get("content-length", "")
        if size.isdecimal() and int(size) > self._settings.max_image_bytes:
            raise self._too_large(url)

    def _too_large(self, url: str) -> ImageTooLarge:
        limit = self._settings.max_image_bytes
        return ImageTooLarge(f"{redact_url(url)} has more than {limit:,} bytes; make it smaller")

    def _check_url(self, url: str, *, named: str) -> None:
        try:
            check_url(url, self._settings)
        except UrlNotAllowed as exc:
            if url == named:
                raise
            raise UrlNotAllowed(f"{redact_url(named)} redirects away: {exc.message}") from exc

    @contextmanager
    def _answer(self, url: str, end_s: float) -> Iterator[HttpAnswer]:
        """A checked URL's answer, with errors as those of an image."""
        outbound = self._named if is_named(url, self._settings) else self._any_public
        left_s = max(0.001, end_s - time.monotonic())
        try:
            with outbound.open("GET", url, headers=HEADERS, timeout_s=left_s) as answer:
                yield answer
        except (AddressForbidden, OutboundFailed, OutboundTooLarge) as exc:
            raise self._translate(exc, url) from exc

    def _translate(self, error: GuanwuError, url: str) -> GuanwuError:
        if isinstance(error, AddressForbidden):
            return UrlNotAllowed(f"{redact_url(url)}: {error.message}")
        if isinstance(error, OutboundTooLarge):
            return self._too_large(url)
        if _has_bad_certificate(error):
            return UrlRefused(f"{error.message}; have its certificate renewed")
        return UrlUnreachable(f"{error.message}; retry the job when its server is well")


def _target(answer: HttpAnswer, url: str) -> str:
    """The target of a redirect. Servers write Chinese paths in UTF-8, against the standard."""
    location = answer.headers.get("location", "").encode("latin-1").decode("utf-8", "replace")
    try:
        return urljoin(url, location)
    except ValueError:  # a host that is none
        return location


def _check_answer(answer: HttpAnswer, url: str) -> None:
    """Raises UrlRefused or UrlUnreachable unless the answer is a whole file."""
    status = answer.status
    if status >= 500 or status in _PASSING:
        raise UrlUnreachable(f"{redact_url(url)} answers {status}; retry the job later")
    if status != 200:
        raise UrlRefused(
            f"{redact_url(url)} answers {status}; name a URL that opens without a login, or upload "
            "the file"
        )
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise UrlRefused(
            f"{redact_url(url)} comes packed though it was not asked for; upload the file"
        )


def _has_bad_certificate(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
