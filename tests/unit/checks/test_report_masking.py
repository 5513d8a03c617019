"""Secrets in reports."""

from __future__ import annotations

from checks.outputs import json_report
from checks.outputs.masking import mask_report
from tests.unit.checks.reports import with_text

KEY = "ApiKey SU-123-456-789:0123456789abcdef"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl"


def test_all_texts_of_a_report_are_masked() -> None:
    rendered = json_report.render(mask_report(with_text(f"x {KEY} {TOKEN} canary"), ["canary"]))
    for secret in ("0123456789abcdef", "c2lnbmF0dXJl", "canary"):
        assert secret not in rendered
