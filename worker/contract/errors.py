"""Every error Guanwu reports, as one family.

Each class has a stable `code`, says whether the same request may succeed later
(`retryable`), and carries its data as attributes. Clients see code and message;
HTTP statuses live in `api/http/problems.py` alone.
"""

from __future__ import annotations

from typing import Any, ClassVar


class GuanwuError(Exception):
    """Something Guanwu can name. Subclasses set `code` and `retryable`."""

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data = data

    def as_item_error(self) -> dict[str, Any]:
        """The `error` object of an item: `{"code", "message", "retryable"}`."""
        return {"code": self.code, "message": self.message, "retryable": self.retryable}


# --- the request ---------------------------------------------------------------


class RequestError(GuanwuError):
    """The request as a whole cannot be accepted."""

    code = "invalid_request"


class InvalidOptions(RequestError):
    """An option is unknown, out of range or not offered by the workers."""

    code = "invalid_options"


class UnknownModel(InvalidOptions):
    """No model of that name is offered."""

    code = "unknown_model"


class UnknownLabelSet(InvalidOptions):
    """No label set of that id, or version, is yours."""

    code = "unknown_label_set"


class LabelSetUnfit(InvalidOptions):
    """The label set was made for another model than those of the job."""

    code = "label_set_unfit"


class TooFewExamples(RequestError):
    """A label has no picture left to be made from."""

    code = "too_few_examples"


class TooManyImages(RequestError):
    """The request names more images than one request may carry."""

    code = "too_many_images"


class RequestTooLarge(RequestError):
    """The body is larger than the front door accepts."""

    code = "request_too_large"


class MalformedRequest(RequestError):
    """The body cannot be read as what its content type says."""

    code = "malformed_request"


class UnsupportedContentType(RequestError):
    """The body's content type is not one the call takes."""

    code = "unsupported_content_type"


class IdempotencyKeyReused(RequestError):
    """The Idempotency-Key came with another payload before."""

    code = "idempotency_key_reused"


class IdempotencyInFlight(GuanwuError):
    """An earlier request with the same Idempotency-Key is being worked on."""

    code = "idempotency_in_flight"
    retryable = True


class JobUnfinished(GuanwuError):
    """What was asked for exists only when the job is done."""

    code = "job_unfinished"
    retryable = True


class NothingToRetry(GuanwuError):
    """All images of the job have succeeded, or it has none."""

    code = "nothing_to_retry"


class QueueFull(GuanwuError):
    """The tenant, or all together, have as many images pending as is allowed."""

    code = "queue_full"
    retryable = True


class RateLimited(GuanwuError):
    """More calls in a minute than this access token may make."""

    code = "rate_limited"
    retryable = True


class QuotaExceeded(GuanwuError):
    """More images than may be submitted in this day or month."""

    code = "quota_exceeded"
    retryable = True


class TooManyWebhooks(RequestError):
    """The tenant has as many standing webhooks as it may."""

    code = "too_many_webhooks"


class Unauthorized(GuanwuError):
    """No bearer token, or one that is not known."""

    code = "unauthorized"


class Forbidden(GuanwuError):
    """The access token is known, but not for this kind of call."""

    code = "forbidden"


class NotFound(GuanwuError):
    """Nothing of that name belongs to the caller."""

    code = "not_found"


class JobNotFound(NotFound):
    """The job does not exist, or belongs to somebody else."""

    code = "job_not_found"


class KeyNotFound(NotFound):
    """There is no API key of that id."""

    code = "key_not_found"


class WebhookNotFound(NotFound):
    """The webhook does not exist, or belongs to somebody else."""

    code = "webhook_not_found"


class FeedbackNotFound(NotFound):
    """The feedback does not exist, or belongs to somebody else."""

    code = "feedback_not_found"


class LabelSetNotFound(NotFound):
    """No worker offers a label set of that id, nor is one of yours called so."""

    code = "label_set_not_found"


class ProposalNotFound(NotFound):
    """The label set has no such proposal."""

    code = "proposal_not_found"


class ProposalOutdated(GuanwuError):
    """The label set has another version since the proposal was made."""

    code = "proposal_outdated"


class NothingToAbsorb(GuanwuError):
    """There is no judgement that could become an example of the label set."""

    code = "nothing_to_absorb"


class LabelSetBuilding(GuanwuError):
    """The label set's examples are still being looked at."""

    code = "label_set_building"
    retryable = True


class LabelSetFailed(GuanwuError):
    """The label set's version could not be built; its record says why."""

    code = "label_set_failed"


class ItemNotSucceeded(GuanwuError):
    """Only an item that has succeeded can be judged."""

    code = "item_not_succeeded"


class ItemNotFound(NotFound):
    """The job has no item of that index."""

    code = "item_not_found"


class ArtifactNotFound(NotFound):
    """The item has no such artefact: not asked for, not made yet, or failed."""

    code = "artifact_not_found"


# --- one image -----------------------------------------------------------------


class ImageError(GuanwuError):
    """One image cannot be processed; its neighbours are not affected."""

    code = "image_error"


class EmptyImage(ImageError):
    """The image has no bytes."""

    code = "image_empty"


class UndecodableData(ImageError):
    """The image's `data` is not base64."""

    code = "data_undecodable"


class BadManifestLine(ImageError):
    """A line of a manifest cannot be read; the message names it."""

    code = "manifest_line_invalid"


class UnsupportedImage(ImageError):
    """The bytes are not an image in a format Guanwu reads."""

    code = "image_unsupported"


class CorruptImage(ImageError):
    """The image starts well but is truncated or damaged."""

    code = "image_corrupt"


class ImageTooLarge(ImageError):
    """The image has more bytes or pixels than the limit."""

    code = "image_too_large"


class InputMissing(ImageError):
    """The image's source does not exist in storage."""

    code = "input_missing"


class InputForbidden(ImageError):
    """The image's source may not be read."""

    code = "input_forbidden"


class UrlNotAllowed(ImageError):
    """The image's URL, or one it redirects to, is not one that is fetched."""

    code = "url_not_allowed"


class UrlRefused(ImageError):
    """The server of the image's URL does not give it; it would not the next time, either."""

    code = "url_refused"


class UrlUnreachable(ImageError):
    """The server of the image's URL cannot be reached, is too slow or has trouble just now."""

    code = "url_unreachable"
    retryable = True


class AttemptsExhausted(ImageError):
    """The image was tried as often as allowed and a worker was lost each time."""

    code = "attempts_exhausted"


class Cancelled(ImageError):
    """The job was cancelled before this image was done."""

    code = "cancelled"


class Expired(ImageError):
    """The job's time was over before this image was done."""

    code = "expired"


class PoisonImage(ImageError):
    """Workers died of this image, again when it ran alone; it is set aside."""

    code = "image_poisonous"


# --- the source of a job ----------------------------------------------------------


class SourceInvalid(GuanwuError):
    """A manifest, folder or archive as a whole cannot be read, or holds no image."""

    code = "source_invalid"


# --- models --------------------------------------------------------------------


class ModelError(GuanwuError):
    """A model cannot be loaded or run."""

    code = "model_error"


class ModelUnavailable(ModelError):
    """A model's weights cannot be fetched now."""

    code = "model_unavailable"
    retryable = True


class CheckpointInvalid(ModelError):
    """A checkpoint's bytes or tensors are not what the model needs."""

    code = "checkpoint_invalid"


class LabelSetOutdated(ModelError):
    """The label set was built with other weights than the model has now."""

    code = "label_set_outdated"


class ExplanationUnavailable(ModelError):
    """The model cannot be explained by that method or for that target."""

    code = "explanation_unavailable"


class OutOfMemory(ModelError):
    """A single image does not fit the device's memory."""

    code = "out_of_memory"


class FontMissing(GuanwuError):
    """The worker has no font with Chinese glyphs, so it cannot write titles on figures."""

    code = "font_missing"


# --- places that clients name ------------------------------------------------------


class AddressForbidden(GuanwuError):
    """The URL is not one Guanwu may call: not public, and not allowed by the operator."""

    code = "address_forbidden"


class OutboundFailed(GuanwuError):
    """A place that a client named cannot be reached, breaks off, or takes too long."""

    code = "outbound_failed"
    retryable = True


class OutboundTooLarge(GuanwuError):
    """A place that a client named sends more than is read of it."""

    code = "outbound_too_large"


# --- what Guanwu stands on -----------------------------------------------------


class ServiceUnavailable(GuanwuError):
    """A service Guanwu needs does not answer; the same request may succeed later."""

    code = "service_unavailable"
    retryable = True


class StreamsFull(ServiceUnavailable):
    """As many event streams as one process serves are open already."""

    code = "streams_full"


class ReportsFull(ServiceUnavailable):
    """As many reports as one process makes at once are being made already."""

    code = "reports_full"


class RedisUnavailable(ServiceUnavailable):
    """Redis is away, loading, or refuses writes."""

    code = "redis_unavailable"


class StoreUnavailable(ServiceUnavailable):
    """The object store is away or refuses the request for now."""

    code = "store_unavailable"


class DeviceBroken(ServiceUnavailable):
    """A worker's device failed; another worker, or the same one restarted, can go on."""

    code = "device_broken"


class StoreDenied(GuanwuError):
    """The object store refuses Guanwu's own credentials."""

    code = "store_denied"


class ObjectNotFound(GuanwuError):
    """No object has that key."""

    code = "object_not_found"


class LeaseLost(GuanwuError):
    """Another worker holds the chunk now; what this one made is not committed."""

    code = "lease_lost"


class SettingsInvalid(GuanwuError):
    """A GUANWU_* variable is unknown or has a bad value; the start stops."""

    code = "settings_invalid"


class RedisUnfit(GuanwuError):
    """Redis is set up so that it would lose jobs; the start stops."""

    code = "redis_unfit"
