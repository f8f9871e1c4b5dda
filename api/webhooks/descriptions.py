"""Texts of the webhook endpoints."""

from __future__ import annotations

CREATE = """\
A standing webhook is told of every job of yours that ends in one of `events`. The answer holds
the `secret` that deliveries are signed with; it is not shown again. Deliveries follow
[Standard Webhooks](https://www.standardwebhooks.com): check them with its libraries.
"""
ROTATE = """\
Answers a new `secret`, once. The last one signs too for `overlap_s` seconds, a day by default:
deliveries carry a signature of each, so that receivers can change over. With 0 it ends at once.
"""
SECRET = """\
What signs the deliveries to the `webhook` that a job itself names. Made when it is first asked
for; needs the scope `submit`.
"""
DELIVERIES = """\
Each try of the last 7 days, about 1,000 at most, the newest first. A delivery keeps its `id` over
all tries, and receivers know it by the header `webhook-id`.
"""
TEST = """\
Queues an event `webhook.test`, tried again like any other; see the webhook's deliveries.
"""
