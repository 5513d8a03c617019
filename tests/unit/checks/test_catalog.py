"""Properties that every check of the catalog has."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from sandbox.checks.catalog import BY_ID, CHECKS
from sandbox.checks.model import Check

# Words of the code that mean nothing to a reader of one text.
_INTERNAL = re.compile(
    r"\b(?:lab|stranger|signer|exhibit|lane|sweep|snapshot|api-calls|X-Sandbox|mark|barrier)\b",
    re.I,
)
_TEXTS = ("sends", "expects", "why", "fix")


def test_ids_are_unique_and_well_formed() -> None:
    assert [pk for pk, count in Counter(check.id for check in CHECKS).items() if count > 1] == []
    assert len(BY_ID) == len(CHECKS)
    assert [pk for pk in BY_ID if not re.fullmatch(r"[a-z]+\.[a-z0-9_]+", pk)] == []


def test_groups_are_contiguous_and_begin_with_their_only_control() -> None:
    groups: dict[str, list[Check]] = {}
    for check in CHECKS:
        groups.setdefault(check.group, []).append(check)
    assert [check for group in groups.values() for check in group] == list(CHECKS)
    for name, (first, *others) in groups.items():
        assert first.is_control and first.id == f"{name}.control"
        assert others and not any(check.is_control for check in others)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_texts_stand_alone(check: Check) -> None:
    assert check.title and not check.title.endswith(".")
    for field in _TEXTS:
        text = getattr(check, field)
        assert text[0].isupper() or text[0].isdigit() or text[0] == "`", (
            f"{field} does not begin as a sentence"
        )
        assert text.endswith("."), f"{field} does not end with a period"
        assert "  " not in text and text == text.strip()
        assert not _INTERNAL.search(text), f"{field} has a word of the code"
        assert not any(pk in text for pk in BY_ID), f"{field} names a check"


def test_checks_do_not_share_their_titles() -> None:
    titles = Counter(check.title for check in CHECKS if not check.is_control)
    assert [title for title, count in titles.items() if count > 1] == []
