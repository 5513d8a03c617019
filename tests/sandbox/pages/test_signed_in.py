"""The pages of the sandbox are for signed-in users."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from sandbox import urls

PATHS = [re.sub(r"<\w+:\w+>", "1", str(each.pattern)) for each in urls.page_urlpatterns]


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_page_needs_a_signed_in_user(client: Client, path: str) -> None:
    responses = [client.get(f"/{path}"), client.post(f"/{path}")]
    allowed = [each for each in responses if each.status_code != 405]
    assert allowed and all(each["Location"].startswith("/sign-in/") for each in allowed)
