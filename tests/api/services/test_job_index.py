"""What an index selects, against a plain sort of its rows."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.services.job_index import JobIndex, Order, Query
from guanwu.wire.index_row import IndexRow
from guanwu.wire.statuses import ItemStatus

ORDERS: tuple[Order, ...] = get_args(Order)
GREATEST_FIRST = ("entropy", "disagreement")
VALUES = st.sampled_from([None, None, 0.0, -0.0, 0.25, 0.5, 0.5000000000000001, 1.0])
LABELS = {None: None, 281: "虎斑猫", 657: "火箭"}


@st.composite
def many_rows(draw: st.DrawFn) -> list[IndexRow]:
    """Few values, so that many are equal; items 0, 3, 6, ..."""
    columns = ("score", "margin", "entropy", "faithfulness", "disagreement")
    kinds = st.tuples(
        st.sampled_from([ItemStatus.SUCCEEDED, ItemStatus.FAILED]),
        st.sampled_from([None, "faithful", "weak"]),
        st.sampled_from(list(LABELS)),
        st.fixed_dictionaries(dict.fromkeys(columns, VALUES)),
    )
    return [
        IndexRow(
            index=3 * n, status=status, verdict=verdict, label_id=label, label=LABELS[label], **row
        )
        for n, (status, verdict, label, row) in enumerate(draw(st.lists(kinds, max_size=60)))
    ]


QUERIES = st.builds(
    Query,
    status=st.sampled_from([None, None, *ItemStatus]),
    label=st.sampled_from([None, None, "虎斑猫", "657", "nothing"]),
    score_from=st.sampled_from([None, None, 0.0, 0.25]),
    score_below=st.sampled_from([None, None, 0.5, 1.0]),
    verdict=st.sampled_from([None, None, "faithful", "not_better_than_random"]),
    sort=st.sampled_from(ORDERS),
)


def index_of(rows: list[IndexRow]) -> JobIndex:
    index = JobIndex()
    for row in rows:
        index.add(row)
    return index


def fits(row: IndexRow, query: Query) -> bool:
    return (
        query.status in (None, row.status)
        and query.verdict in (None, row.verdict)
        and query.label in (None, row.label, str(row.label_id))
        and (query.score_from is None or (row.score is not None and row.score >= query.score_from))
        and (query.score_below is None or (row.score is not None and row.score < query.score_below))
    )


def place(row: IndexRow, order: Order) -> tuple[bool, float, int]:
    """What a plain sort puts a row by."""
    value = 0.0 if order == "index" else getattr(row, order)
    if value is None:
        return True, 0.0, row.index
    return False, -value if order in GREATEST_FIRST else value, row.index


@given(many_rows(), st.lists(QUERIES, min_size=1, max_size=4), st.integers(1, 7))
def test_the_pages_of_any_query_together_are_the_sorted_whole(
    rows: list[IndexRow], queries: list[Query], limit: int
) -> None:
    index = index_of(rows)
    for query in queries:
        pages: list[int] = []
        while page := index.items(index.select(query)[len(pages) :][:limit]):
            pages += page
        whole = sorted((r for r in rows if fits(r, query)), key=lambda r: place(r, query.sort))
        assert pages == [row.index for row in whole]


@pytest.mark.parametrize("order", ORDERS)
def test_ties_of_a_long_index_are_in_the_order_of_the_items(order: Order) -> None:
    values = np.random.default_rng(3).integers(0, 40, 20_000) / 39
    rows = [
        IndexRow(index=n, status=ItemStatus.SUCCEEDED, **({} if order == "index" else {order: v}))
        for n, v in enumerate(values.tolist())
    ]
    index = index_of(rows)
    found = index.items(index.select(Query(sort=order)))
    assert found == [row.index for row in sorted(rows, key=lambda row: place(row, order))]


def test_a_page_does_not_sort_again_what_the_page_before_sorted() -> None:
    index = index_of([IndexRow(index=n, status=ItemStatus.SUCCEEDED, score=0.5) for n in range(9)])
    query = Query(sort="score")
    assert np.shares_memory(index.select(query), index.select(query))


def test_a_row_that_is_added_later_is_sorted_with_the_others() -> None:
    index = index_of([IndexRow(index=0, status=ItemStatus.SUCCEEDED, score=0.5)])
    query = Query(sort="score")
    assert index.items(index.select(query)) == [0]
    index.add(IndexRow(index=1, status=ItemStatus.SUCCEEDED, score=0.25))
    assert index.items(index.select(query)) == [1, 0]
