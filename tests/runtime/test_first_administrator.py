"""The first administrator of a server: a one-time link, never a default password."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal import sign_in
from requests_queue.catalog.models import User
from requests_queue.seed import accounts

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def server(settings: Any) -> None:
    # The URLs are imported on first use, and then depend on the profile.
    reverse("home")
    settings.SANDBOX = False
    # Hash passwords fast.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.SIM_PUBLIC_URL = "http://testserver"


def link(*arguments: str) -> str:
    out = io.StringIO()
    call_command("firstadmin", *arguments, stdout=out)
    return out.getvalue().strip().removeprefix("http://testserver")


def test_link_signs_in_once_and_leads_to_the_admin() -> None:
    address, client = link(), Client()
    assert client.get(address).headers["Location"] == "/"
    assert client.get("/admin/").status_code == 200
    # There are no accounts yet.
    page = client.get("/")
    assert page.status_code == 403 and b'href="/admin/"' in page.content
    assert Client().get(address).status_code == 403
    user = User.objects.get()
    assert (user.username, user.is_staff, user.has_usable_password()) == ("admin", True, False)
    assert user.uid.startswith("UR-")


def test_second_administrator_is_refused_in_one_line() -> None:
    link("root")
    with pytest.raises(CommandError, match="already") as raised:
        link("other")
    assert "\n" not in str(raised.value)
    assert User.objects.count() == 1


@pytest.mark.parametrize("name", ["two words", "", "x" * 151, "taken"])
def test_invalid_name_creates_nobody(name: str) -> None:
    User.objects.create(username="taken", uid="UR-1")
    with pytest.raises(CommandError) as raised:
        link(name)
    assert "\n" not in str(raised.value) and str(raised.value)
    assert not sign_in.has_administrator()


@pytest.mark.django_db(transaction=True)
def test_one_of_two_concurrent_commands_creates_the_administrator() -> None:
    barrier = Barrier(2)

    def create(name: str) -> bool:
        try:
            barrier.wait(10)
            return sign_in.create_first_administrator(name) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(create, ["first", "second"])) == [False, True]
    assert User.objects.filter(is_superuser=True).count() == 1


def test_sign_in_page_says_what_to_run() -> None:
    def hint() -> str:
        page = Client().get("/sign-in/").content.decode()
        return page.partition('data-hint="')[2].partition('"')[0]

    assert hint() == "first-administrator"
    User.objects.create(username="away", uid="UR-1", is_superuser=True, is_active=False)
    assert hint() == "first-administrator"
    link()
    assert hint() == "server"


def test_createsuperuser_needs_no_identifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a long enough pass phrase")
    call_command("createsuperuser", "--noinput", username="root", email="", verbosity=0)
    user = User.objects.get()
    assert user.uid.startswith("UR-") and sign_in.has_administrator()
    assert authenticate(username="root", password="a long enough pass phrase") == user


def test_no_user_of_the_demo_data_has_a_password() -> None:
    accounts.add_accounts()
    accounts.add_users(timezone.now())
    assert User.objects.count() >= 3
    for user in User.objects.all():
        for guess in ("", "admin", "password", user.username, user.password or "x"):
            assert not user.check_password(guess), user
