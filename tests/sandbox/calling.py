"""Fixtures of tests that call the sandbox's API on the smallest platform, with commits."""

from __future__ import annotations

import pytest

from tests import make
from tests.api import Caller, caller


@pytest.fixture
def catalog(transactional_db: None) -> make.Catalog:
    """A vendor, a distributor and a product."""
    return make.catalog()


@pytest.fixture
def client(catalog: make.Catalog) -> Caller:
    """The vendor's client."""
    return caller(catalog.vendor)
