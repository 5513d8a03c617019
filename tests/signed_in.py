"""Signed-in users on the smallest platform: fixtures of the admin's tests."""

from __future__ import annotations

import pytest
from django.test import Client

from requests_queue.catalog.models import User
from tests import make
from tests.make import Catalog


@pytest.fixture
def root(catalog: Catalog) -> Client:
    """An administrator."""
    return signed_in(
        User.objects.create(username="root", uid="UR-000-000-001", is_staff=True, is_superuser=True)
    )


@pytest.fixture
def vendor(catalog: Catalog) -> Client:
    """Staff of the vendor."""
    return signed_in(staff(catalog.vendor_user))


@pytest.fixture
def distributor(catalog: Catalog) -> Client:
    """Staff of the distributor."""
    return signed_in(staff(catalog.provider_user))


@pytest.fixture
def stranger(db: None) -> Client:
    """Staff of another vendor."""
    return signed_in(staff(make.catalog("2").vendor_user))


def staff(user: User) -> User:
    """Give a user access to the admin, without model permissions."""
    user.is_staff = True
    user.save()
    return user


def signed_in(user: User) -> Client:
    """Return a browser in which the user is signed in."""
    client = Client()
    client.force_login(user)
    return client
