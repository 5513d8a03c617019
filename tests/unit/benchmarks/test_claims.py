"""Which steps of a plan read more deliveries than a claim needs."""

from __future__ import annotations

import pytest

from benchmarks.claims import is_scan


@pytest.mark.parametrize(
    "line",
    [
        "  ->  Seq Scan on webhooks_delivery d  (cost=0.00..8.25 rows=100 width=32)",
        "  ->  Parallel Seq Scan on webhooks_delivery",
        "    SCAN webhooks_delivery",
        "    SCAN d USING INDEX delivery_waiting",
        "    SCAN c USING COVERING INDEX delivery_webhook",
    ],
)
def test_reading_all_deliveries_is_a_scan(line: str) -> None:
    assert is_scan(line)


@pytest.mark.parametrize(
    "line",
    [
        "  ->  Seq Scan on webhooks_webhook w  (cost=0.00..8.25 rows=100 width=32)",
        "  ->  Index Scan using delivery_waiting on webhooks_delivery",
        "    SCAN d USING INDEX delivery_forced",
        "    SCAN webhooks_delivery USING INDEX delivery_calling",
        "    SEARCH d USING INDEX delivery_waiting (webhook_id=?)",
        "    SCAN w",
        "    SCAN candidate",
    ],
)
def test_reading_a_partial_index_or_other_tables_is_none(line: str) -> None:
    assert not is_scan(line)
