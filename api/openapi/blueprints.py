"""Blueprints of the API: tag, authentication, guards and common error responses."""

from __future__ import annotations

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.http import auth, body_limits
from api.http.rate_limits import CountedBlueprint, Kind
from api.openapi import responses

_TAGS = {
    "Jobs": "Submit pictures, watch and cancel.",
    "Results": "Labels and heatmaps.",
    "Models": "What there is to choose from.",
    "Label sets": "Labels of your own.",
    "Feedback": "Say what is right and what is not.",
    "Uploads": "Files for jobs to name by `upload`.",
    "Usage": "What was submitted, and what is left.",
    "Webhooks": "Be told when jobs end.",
    "Workers": "What they do, and what holds them up.",
    "Health": "For load balancers and supervisors.",
}


def api_blueprint(
    name: str,
    import_name: str,
    *,
    tag: str,
    url_prefix: str,
    problems: tuple[int, ...] = (),
    changes: Kind = "submit",
) -> APIBlueprint:
    """A blueprint whose calls need a token, count against rate limits, and bound their bodies.

    Args:
        problems: statuses of errors that all of its calls may answer, beside those of the guards.
        changes: the kind of its calls that change something, for rate limits.
    """
    blueprint = CountedBlueprint(
        name,
        import_name,
        url_prefix=url_prefix,
        abp_tags=[_tag(tag)],
        abp_security=responses.BEARER,
        abp_responses=responses.guard_problems(*problems),
    )
    blueprint.changes = changes
    blueprint.before_request(auth.require_tenant)
    blueprint.before_request(body_limits.check_length)
    return blueprint


def open_blueprint(name: str, import_name: str, *, tag: str) -> APIBlueprint:
    """A blueprint at the root whose calls need no token."""
    return APIBlueprint(name, import_name, abp_tags=[_tag(tag)])


def _tag(name: str) -> Tag:
    return Tag(name=name, description=_TAGS[name])
