"""Secrets in evidence and reports."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from sandbox.checks.masking import mask
from sandbox.checks.outputs import json_report
from sandbox.checks.outputs.masking import mask_report
from tests.unit.checks.reports import with_text

KEY = "ApiKey SU-123-456-789:0123456789abcdef"
SECRET = 'a "long" secret/é'
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl"


def test_keys_secrets_and_signatures_are_masked() -> None:
    assert mask(f"Authorization: {KEY}", [KEY]) == "Authorization: ••••••••"
    assert mask("key 0123456789abcdef!", [KEY]) == "key ••••••••!"
    assert mask(f"Bearer {TOKEN}", []) == "Bearer eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.••••••••"
    forms = (SECRET, json.dumps(SECRET)[1:-1], quote(SECRET, safe=""))
    assert [mask(f"<{form}>", [SECRET]) for form in forms] == ["<••••••••>"] * 3


def test_short_secret_is_masked_as_a_whole_word_and_an_empty_one_is_ignored() -> None:
    assert mask("status 1, 10 of a:1", ["1", ""]) == "status ••••••••, 10 of a:••••••••"


@given(st.text(min_size=6), st.text(), st.text())
def test_no_secret_is_left(secret: str, before: str, after: str) -> None:
    masked = mask(f"{before}{secret}{after}", [secret])
    assert secret not in masked.replace("••••••••", "\0" if "\0" not in secret else "\1")


def test_all_texts_of_a_report_are_masked() -> None:
    rendered = json_report.render(mask_report(with_text(f"x {KEY} {TOKEN}"), [KEY]))
    assert "0123456789abcdef" not in rendered and "c2lnbmF0dXJl" not in rendered
