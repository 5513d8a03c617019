"""Fixtures for all tests."""

from tests import flushing
from tests.api import distributor, nobody, other, seeded, vendor

__all__ = ["distributor", "nobody", "other", "seeded", "vendor"]

flushing.install()
