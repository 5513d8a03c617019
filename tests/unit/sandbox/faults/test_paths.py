"""Paths of API calls, and globs."""

from __future__ import annotations

import pytest

from sandbox.faults import kinds


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/public/v1/requests", "/requests"),
        ("/public/v1/requests/", "/requests"),
        ("/public/v1", "/"),
        ("/public/v1/", "/"),
        ("/public/v10/requests", "/public/v10/requests"),
        ("/requests/*/approve", "/requests/*/approve"),
    ],
)
def test_path_below_the_api(path: str, expected: str) -> None:
    assert kinds.below_api(path) == expected


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("/requests", "/requests", True),
        ("/requests", "/requests/PR-1", False),
        ("/requests/*", "/requests/PR-1", True),
        ("/requests/*", "/requests/PR-1/approve", False),
        ("/requests/*/approve", "/requests/PR-1/approve", True),
        ("/requests/**", "/requests/PR-1/approve", True),
        ("/**/approve", "/tier/config-requests/TCR-1/approve", True),
        ("/req*", "/requests", True),
        ("/a.b", "/axb", False),
        ("/[ab]", "/a", False),
    ],
)
def test_glob(glob: str, path: str, expected: bool) -> None:
    assert kinds.matches(glob, path) is expected
