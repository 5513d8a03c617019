"""The check of denied words that is a part of `make lint`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import check_words


@pytest.mark.parametrize(
    "line",
    [
        "Return the births of a queue.",
        "class BirthRules:",
        "def birth_rules():",
        "OUTBOX = 1",
        "in case a flight is lost",
        "the call is under way",
        "the call is under\n    # way",
    ],
)
def test_denied_word_is_found_in_prose_and_identifiers(line: str) -> None:
    assert list(check_words.problems(line))


@pytest.mark.parametrize(
    "line",
    [
        "requests in flight, in-flight requests",
        "class InFlightCall:",
        "in_flight = 3",
        "requests that are in\n# flight",
        "amend the recommendation",
        "stillborn",
        "Northland",
    ],
)
def test_other_words_are_allowed(line: str) -> None:
    assert not list(check_words.problems(line))


def test_message_names_path_line_word_and_replacement(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>\nIt was born.\n", encoding="utf-8")
    assert check_words.check(tmp_path, ["page.html"]) == [
        "page.html:2: 'born'; use: create, creation"
    ]


def test_file_names_are_checked(tmp_path: Path) -> None:
    (tmp_path / "deeds.py").write_text("", encoding="utf-8")
    assert check_words.check(tmp_path, ["deeds.py"]) == [
        "deeds.py: the file name has 'deeds'; use: action"
    ]


def test_pictures_and_deleted_files_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff\xfe born")
    assert check_words.check(tmp_path, ["a.png", "deleted.py"]) == []


def test_license_is_exempt(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("born", encoding="utf-8")
    assert check_words.check(tmp_path, ["LICENSE"]) == []
