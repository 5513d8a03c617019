"""Properties that every check of the catalog has."""

from __future__ import annotations

import re
from collections import Counter
from types import SimpleNamespace
from typing import cast

import pytest

from checks.catalog import BY_ID, CHECKS
from checks.lab import Lab
from checks.model import Check, Level, Outcome

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


def test_texts_stand_alone() -> None:
    for check in CHECKS:
        assert check.title and not check.title.endswith(".")
        for field in _TEXTS:
            text, shown = getattr(check, field), f"{field} of {check.id}"
            begins = text[0].isupper() or text[0].isdigit() or text[0] == "`"
            assert begins, f"{shown} does not begin as a sentence"
            assert text.endswith("."), f"{shown} does not end with a period"
            assert "  " not in text and text == text.strip()
            assert not _INTERNAL.search(text), f"{shown} has a word of the code"
            assert not any(pk in text for pk in BY_ID), f"{shown} names a check"


def test_checks_do_not_share_their_titles() -> None:
    titles = Counter(check.title for check in CHECKS if not check.is_control)
    assert [title for title, count in titles.items() if count > 1] == []


@pytest.mark.parametrize(
    "name",
    [
        # Only the holder of the secret can make these tokens.
        "auth.hs512", "auth.rs256_with_secret", "token.missing_exp", "token.textual_exp",
        # The standard allows it.
        "token.expired_second",
        # The platform sends a webhook fewer requests at once.
        "delivery.burst", "speed.connections_100",
        # What is harmed can't be seen.
        "effects.one_run",
        # A handler need not have such orders, or such deployments.
        "turn.cancel", "turn.change", "turn.order_again", "deploy.grace", "deploy.beside",
    ],
)  # fmt: skip
def test_what_harms_nobody_for_certain_is_no_must(name: str) -> None:
    assert BY_ID[name].level is Level.SHOULD


@pytest.mark.parametrize("name", ["validator.echo_errors", "validator.errors_cleared"])
def test_checks_of_errors_are_skipped_without_a_refused_value(name: str) -> None:
    verdict = BY_ID[name].run(cast(Lab, SimpleNamespace(invalid={})))
    assert verdict.outcome is Outcome.SKIPPED
    assert "--invalid" in verdict.text
