"""Arbitrary texts for the search of deliveries."""

from __future__ import annotations

from hypothesis import strategies as st

from portal.deliveries.search import KEYS

PIECES = st.sampled_from(
    [*(f"{key}:" for key in KEYS), '"', "\\", " ", ",", ">=500", "5xx", "1h", "2026-11-02T10:00",
     "failed", "WH-1", "foo:", ":", "0001-01-01T00:00+14:00", "999999w", "\0", "\ud800", "%", "٣h"]
)  # fmt: skip
typed = st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)
