"""The fields of an inquiring form: one of each type, as a customer without script has them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.api import Caller
from tests.portal import asked
from tests.portal.asked import Page, calls, visit

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(vendor: Caller, distributor: Caller) -> Any:
    """Return what opens the form of a new request that is asked for these parameters."""

    def opened(*names: str, **values: Any) -> Page:
        errors = dict.fromkeys(names, "Please look at this again.")
        pk = asked.inquire(calls(vendor), calls(distributor), errors, **values)
        return visit(Client(), asked.link(calls(vendor), pk))

    return opened
