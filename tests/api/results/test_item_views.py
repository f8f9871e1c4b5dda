"""Routes of an item."""

from __future__ import annotations

import pytest
from werkzeug.exceptions import MethodNotAllowed

from api.app import create_app
from api.openapi.paths import ITEM_CALLS
from worker.contract.settings.environment import load

ITEM = "/v1/jobs/job_1/items/0"


def test_calls_on_items_allow_their_methods_alone() -> None:
    """Each is in ITEM_CALLS; else the call for files would add its own methods to `Allow`."""
    routes = create_app(load({})).url_map
    item = "/v1/jobs/<job_id>/items/<int:index>/"
    calls = {
        rule.rule.removeprefix(item)
        for rule in routes.iter_rules()
        if rule.rule.startswith(item) and "POST" in (rule.methods or ())
    }
    assert calls == set(ITEM_CALLS)
    for call in calls:
        with pytest.raises(MethodNotAllowed) as refused:
            routes.bind("").match(f"{ITEM}/{call}", method="DELETE")
        assert set(refused.value.valid_methods or ()) == {"OPTIONS", "POST"}
