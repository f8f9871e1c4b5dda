"""Demo page at `/`: pictures dropped in come back with labels and heatmaps."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, render_template

from api.services.container import services

page = Blueprint(
    "page",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/page",
)


@page.get("/")
def show() -> Response:
    """The page; it needs no token, its calls do.

    Raises:
        StoreUnavailable: no credentials of the store are known, so no link to it can be made.
    """
    response = Response(render_template("page.html"), mimetype="text/html")
    response.headers["Content-Security-Policy"] = policy(_store_origin())
    return response


def policy(store: str) -> str:
    """Content-Security-Policy: the page itself, pictures just dropped in, pictures of the store."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"img-src 'self' blob: {store}; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


def _store_origin() -> str:
    """Origin of presigned links, whatever endpoint and addressing are set."""
    link = urlsplit(services().store.link("page").url)
    return f"{link.scheme}://{link.netloc}"
