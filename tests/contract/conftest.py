"""Fixtures shared by the tests of both documents."""

from __future__ import annotations

from tests.contract.observed import called

__all__ = ["called"]
