"""Paths of API calls: patterns and globs."""

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


def test_ids_of_a_path_are_replaced() -> None:
    path = "/requests/PR-1111-2222-3333-001/approve"
    assert kinds.pattern(path) == "/requests/{id}/approve"
    assert kinds.pattern("/requests") == "/requests"
    assert kinds.pattern("/products/PRD-1-22/items/PRD-1-22-0001") == "/products/{id}/items/{id}"


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
