"""Values of columns as JSON: each awkward one comes back, and a wrong one is refused."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from hypothesis import given
from hypothesis import strategies as st

from portal.models import BulkResend
from requests_queue.catalog.models import Asset, Parameter, Product, ProductMedia, Template
from requests_queue.queues.tier_account.models import TierAccountRequest
from requests_queue.queues.usage_file.models import UsageFile, UsageRecord
from sandbox.models import ApiCall
from sandbox.snapshot_files import values
from sandbox.snapshot_files.values import Wrong
from webhooks.models import Attempt, Delivery, Event, Webhook

PORTABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | PORTABLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PORTABLE, inner, max_size=3),
    max_leaves=20,
)  # fmt: skip
MOMENTS = st.datetimes(timezones=st.just(UTC))
COLUMNS: list[tuple[Any, str, st.SearchStrategy[Any]]] = [
    (Template, "body", PORTABLE),
    (ApiCall, "request_body", PORTABLE),
    (ApiCall, "duration", st.floats(allow_nan=False, allow_infinity=False)),
    (Parameter, "default", JSON),
    (Product, "capabilities", st.dictionaries(PORTABLE, JSON, max_size=5)),
    (ProductMedia, "content", st.binary()),
    (UsageRecord, "quantity", st.decimals("-999999999", "999999999", places=8)),
    (UsageRecord, "start_date", st.none() | MOMENTS),
    (UsageFile, "period_from", st.none() | st.dates()),
    (Delivery, "claim", st.none() | st.uuids()),
    (Delivery, "id", st.integers(1, 2**53)),
    (Event, "delivery", st.integers(1, 2**53)),
    (LogEntry, "id", st.integers(1, 2**30)),
    (ApiCall, "delivery_id", st.none() | st.integers(-(2**63), 2**63 - 1)),
    (Attempt, "request_headers", st.dictionaries(PORTABLE, PORTABLE)),
    (Attempt, "response_headers", st.lists(st.lists(PORTABLE, min_size=2, max_size=2))),
    (Delivery, "state", st.sampled_from([key for key, _ in Delivery.STATES])),
    (Webhook, "active", st.booleans()),
]


@pytest.mark.parametrize(("model", "name", "strategy"), COLUMNS)
def test_any_value_of_a_column_comes_back(
    model: Any, name: str, strategy: st.SearchStrategy[Any]
) -> None:
    field = model._meta.get_field(name)

    @given(strategy)
    def check(value: Any) -> None:
        text = json.dumps(values.encode(value))
        decoded = values.decode(field, json.loads(text))
        assert decoded == value and type(decoded) is type(value)

    check()


@given(st.text(st.characters()))
def test_text_that_postgres_cannot_store_is_replaced(text: str) -> None:
    encoded = values.encode({"a": [text]})["a"][0]
    # It has a form in UTF-8.
    encoded.encode()
    assert "\0" not in encoded
    assert values.decode(Template._meta.get_field("body"), encoded) == encoded


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        (Template, "body", None), (Template, "body", 1), (Template, "body", "\0"),
        (Template, "body", "\ud800"), (Template, "scope", "x" * 9), (Template, "id", "a/../b"),
        (Template, "id", ""), (Delivery, "id", 0), (Delivery, "id", -1), (Delivery, "id", True),
        (Delivery, "id", "1"), (Delivery, "id", 2**53 + 1), (Event, "delivery", 2**53 + 1),
        (LogEntry, "id", 2**30 + 1), (ApiCall, "delivery_id", 2**63), (Delivery, "attempts", 1.0),
        (Delivery, "state", "other"), (Delivery, "claim", "x"), (Delivery, "forced", 1),
        (Delivery, "created_at", "2026-11-26"), (Delivery, "created_at", "2026-11-26T01:00:00"),
        (Delivery, "created_at", "2026-11-26T01:00:00+02:00"), (Delivery, "created_at", 1),
        (UsageRecord, "quantity", "NaN"), (UsageRecord, "quantity", "1E+999999"),
        (UsageRecord, "quantity", 1.5), (UsageRecord, "quantity", "1.12345678901234567"),
        (UsageFile, "period_from", "2026-02-30"), (ProductMedia, "content", "not base64!"),
        (Product, "capabilities", []), (Product, "capabilities", "x"),
        (Product, "capabilities", {"a": "\0"}), (Webhook, "product", 1), (Webhook, "product", "x"),
        (ApiCall, "duration", "1"), (Attempt, "response_headers", [7]),
        (Attempt, "response_headers", [["X"]]), (Attempt, "response_headers", [["X", 1]]),
        (Attempt, "response_headers", [["X", "1", "2"]]), (Attempt, "response_headers", ["Xy"]),
        (Attempt, "request_headers", [7]), (Attempt, "request_headers", {"X": 1}),
        (Attempt, "faults", [7]), (Attempt, "faults", [{"name": "x"}]), (ApiCall, "faults", ["x"]),
        (UsageRecord, "errors", [{}]), (UsageRecord, "params", ["x"]), (Asset, "items", [[]]),
        (UsageRecord, "params", [{"id": "x"}]), (Asset, "params", [{"id": 7}]),
        (TierAccountRequest, "scopes", [{}]), (BulkResend, "deliveries", [True]),
        (BulkResend, "latest", ["1"]), (BulkResend, "latest", {}),
    ],
)  # fmt: skip
def test_wrong_value_is_refused(model: Any, name: str, value: Any) -> None:
    with pytest.raises(Wrong):
        values.decode(model._meta.get_field(name), value)


def test_types_of_the_database_have_one_form() -> None:
    assert values.encode(datetime(2026, 11, 26, 1, 42, 30, 7, UTC)) == (
        "2026-11-26T01:42:30.000007+00:00"
    )
    assert values.encode(date(2026, 1, 2)) == "2026-01-02"
    assert values.encode(Decimal("1.50")) == "1.50"
    assert values.encode(memoryview(b"\0\xff")) == "AP8="
    assert values.encode(UUID(int=7)) == "00000000-0000-0000-0000-000000000007"
