"""Send one delivery to a webhook, by the Standard Webhooks specification."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from standardwebhooks.webhooks import Webhook as Signer

from worker.contract.addresses import Allowed
from worker.contract.errors import AddressForbidden, GuanwuError, OutboundFailed
from worker.contract.webhook import Delivery, check_target
from worker.outbound.http import Outbound

log = structlog.get_logger(__name__)

GONE = 410


@dataclass(frozen=True)
class Receiver:
    """The address of a webhook, and the secrets that sign."""

    url: str
    secrets: Sequence[str]


@dataclass(frozen=True)
class DeliveryOutcome:
    """The result of one try: the receiver's status, or the reason for none."""

    status: int | None
    error: str | None
    duration_ms: int

    @property
    def gone(self) -> bool:
        """The receiver wants nothing more, ever."""
        return self.status == GONE


def signed_headers(
    delivery: Delivery, secrets: Sequence[str], *, now: dt.datetime
) -> dict[str, str]:
    """One signature of each secret over the same bytes."""
    signatures = [Signer(secret).sign(delivery.id, now, delivery.body) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": "Guanwu-Webhooks",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


class Sender:
    """Sends one delivery once."""

    def __init__(self, outbound: Outbound, allowed: Allowed) -> None:
        self._outbound = outbound
        self._allowed = allowed

    def send(self, delivery: Delivery, receiver: Receiver) -> DeliveryOutcome:
        began_s = time.monotonic()
        status, error = self._post(delivery, receiver)
        return DeliveryOutcome(status, error, round((time.monotonic() - began_s) * 1000))

    def _post(self, delivery: Delivery, receiver: Receiver) -> tuple[int | None, str | None]:
        headers = signed_headers(delivery, receiver.secrets, now=dt.datetime.now(dt.UTC))
        body = delivery.body.encode()
        try:
            check_target(receiver.url, self._allowed, field="url")
            with self._outbound.open("POST", receiver.url, headers=headers, content=body) as answer:
                return answer.status, _fault(answer.status)  # its body is not read
        except (AddressForbidden, OutboundFailed) as exc:
            return None, f"{exc.code}: {exc.message}"
        except Exception:  # a receiver nobody has thought of must not be tried for ever
            log.exception("delivery cannot be sent")
            return None, f"{GuanwuError.code}: the server's log says more"


def _fault(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"the receiver answered {status}; redirects are not followed, set the new URL"
    if status == GONE:
        return "the receiver answered 410: it is gone and gets nothing more"
    return f"the receiver answered {status}"
