"""Texts of the endpoints of operations."""

from __future__ import annotations

WORKERS = """\
What each process of each worker did in the last ten seconds: images a second, time by stage, the
stage that holds images up, its device, and its latest errors by code. Processes that were silent
for 15 seconds are left out. Takes the scope `admin`: these are numbers of all tenants together.
"""
METRICS = """\
Images that wait by lane, chunks by state, images done a second, how wrong predicted ends were, and
answered requests by route and status, with the time they took. Workers serve their own numbers.
"""
