"""`GET /sandbox/version`: clients compare it with their own."""

from __future__ import annotations

import pytest

from connect_sim import __version__
from sandbox.api import schema
from tests import make
from tests.api import caller

pytestmark = pytest.mark.django_db


def test_version_is_that_of_the_program() -> None:
    by = caller(make.catalog().vendor)
    response = by.get("/sandbox/version")
    assert (response.status, response.json) == (200, {"version": __version__})
    assert schema.document()["info"]["version"] == __version__
