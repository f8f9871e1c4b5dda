"""The page's frame: what it loads and what its policy allows."""

from __future__ import annotations

import re

from tests.api.requests import Calls


def test_page_needs_no_token_and_takes_everything_from_this_server(door: Calls) -> None:
    page = door.with_token(None).get("/")
    assert page.mimetype == "text/html"
    sources = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert len(sources) == 4
    for source in sources:
        answer = door.with_token(None).get(source)
        assert (source[0], answer.status_code) == ("/", 200)
        answer.close()


def test_policy_names_the_store_and_allows_nothing_inline(door: Calls) -> None:
    policy = door.get("/").headers["Content-Security-Policy"]
    assert re.search(r"img-src 'self' blob: http://127\.0\.0\.1:\d+;", policy)
    assert "unsafe" not in policy
