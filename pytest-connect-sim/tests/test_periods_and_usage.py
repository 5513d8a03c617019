"""Billing periods, and the rows of usage files."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from pytest_connect_sim import periods, usage_rows


def asset(**billing: Any) -> dict[str, Any]:
    return {"id": "AS-1", "billing": billing}


MONTHLY = {"delta": 1.0, "uom": "monthly"}


def test_first_period_ends_on_the_next_billing_date() -> None:
    billed = asset(next_date="2027-01-31T10:00:00+00:00", period=MONTHLY)
    assert periods.next_period(billed, "vendor") == {
        "from": "2026-12-31T10:00:00+00:00",
        "to": "2027-01-31T10:00:00+00:00",
        **MONTHLY,
    }


def test_later_period_begins_where_the_last_request_of_the_type_ended() -> None:
    last = {"last_request": {"period": {"to": "2027-01-31T10:00:00+00:00"}}}
    billed = asset(next_date="2027-01-31T10:00:00+00:00", period=MONTHLY, stats={"vendor": last})
    assert periods.next_period(billed, "vendor")["to"] == "2027-02-28T10:00:00+00:00"
    assert periods.next_period(billed, "provider")["to"] == "2027-01-31T10:00:00+00:00"


def test_subscription_that_is_not_billed_by_the_period_is_refused() -> None:
    for billed in (asset(), {"id": "AS-1"}):
        with pytest.raises(ValueError, match="AS-1 has no billing period"):
            periods.next_period(billed, "vendor")


@pytest.mark.parametrize(
    ("moment", "months", "expected"),
    [
        ("2026-11-30T00:00:00+00:00", 3, "2027-02-28T00:00:00+00:00"),
        ("2028-01-31T05:06:07+00:00", 1, "2028-02-29T05:06:07+00:00"),
        ("2026-01-15T00:00:00+00:00", -1, "2025-12-15T00:00:00+00:00"),
        ("2026-05-31T00:00:00+00:00", 24, "2028-05-31T00:00:00+00:00"),
    ],
)
def test_months_are_calendar_months(moment: str, months: int, expected: str) -> None:
    assert periods.add_months(moment, months) == expected


def test_last_month_may_be_in_the_last_year() -> None:
    assert usage_rows.month_before("2027-01-31T10:00:00.000+00:00") == {
        "from": "2026-12-01",
        "to": "2026-12-31",
    }


def test_row_has_defaults_and_its_own_columns() -> None:
    period = {"from": "2026-10-01", "to": "2026-10-31"}
    row = {"subscription": "AS-1", "item": "traffic", "quantity": 2.5, "v.region": "a,b"}
    cells = usage_rows.cells(row, 3, "traffic", "AS-1", period)
    content = usage_rows.to_csv([cells, {**cells, "record_id": "other", "amount": 7}])
    first, second = csv.DictReader(io.StringIO(content.decode(), newline=""))
    assert first == {
        "record_id": "record-3",
        "item_search_criteria": "item.mpn",
        "item_search_value": "traffic",
        "quantity": "2.5",
        "start_time_utc": "2026-10-01 00:00:00",
        "end_time_utc": "2026-10-31 23:59:59",
        "asset_search_criteria": "asset.id",
        "asset_search_value": "AS-1",
        "v.region": "a,b",
        "amount": "",
    }
    assert (second["record_id"], second["amount"]) == ("other", "7")
