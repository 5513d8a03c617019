"""A reset and a restore clear all faults."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.models import Fault, FaultOrdinal
from tests.api import Caller
from tests.sandbox.worlds import ok, reset

pytestmark = pytest.mark.django_db(transaction=True)


def test_reset_and_restore_clear_faults(saved: dict[str, list[Any]], vendor: Caller) -> None:
    ok(vendor.post("/sandbox/snapshots", {"name": "a", "patience": 0}))
    for clear in (
        lambda: reset(vendor, patience=0),
        lambda: ok(vendor.post("/sandbox/snapshots/a/restore", {"patience": 0})),
    ):
        body = {"kind": "abort", "side": "api", "probability": 1}
        # Numbers begin anew with each world.
        assert ok(vendor.post("/sandbox/faults", body))["name"] == "abort-1"
        ok(vendor.post("/sandbox/faults", {"kind": "duplicate"}))
        assert vendor.get("/requests").status == 503
        clear()
        assert vendor.get("/requests").status == 200
        assert ok(vendor.get("/sandbox/faults")) == {"faults": []}
        assert not Fault.objects.exists() and not FaultOrdinal.objects.exists()
