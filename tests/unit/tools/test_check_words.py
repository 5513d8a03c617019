"""The check of denied words that is a part of `make lint`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import check_words


@pytest.mark.parametrize(
    ("line", "is_denied"),
    [
        ("Return the births of a queue.", True),
        ("class BirthRules:", True),
        ("def birth_rules():", True),
        ("OUTBOX = 1", True),
        ("in case a flight is lost", True),
        ("the call is under way", True),
        ("the call is under\n    # way", True),
        ("requests in flight, in-flight requests", False),
        ("class InFlightCall:", False),
        ("in_flight = 3", False),
        ("requests that are in\n# flight", False),
        ("amend the recommendation", False),
        ("stillborn", False),
        ("Northland", False),
    ],
)
def test_denied_word_is_found_in_prose_and_identifiers(line: str, is_denied: bool) -> None:
    assert bool(list(check_words.problems(line))) is is_denied


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


def test_pictures_deleted_files_and_the_license_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff\xfe born")
    (tmp_path / "LICENSE").write_text("born", encoding="utf-8")
    assert check_words.check(tmp_path, ["a.png", "LICENSE", "deleted.py"]) == []
