"""Fixtures shared by the tests of both documents."""

from tests.contract.observed import called

__all__ = ["called"]
