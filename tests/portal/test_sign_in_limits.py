"""Limits of sign-in attempts, on the portal's form and on the admin's."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import hashers
from django.db.models import F
from django.test import Client

from requests_queue.catalog import sign_in_limits
from requests_queue.catalog.models import User
from requests_queue.models import Clock, SignInTries
from sandbox.clock import moves
from tests import make
from tests.background import concurrently

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough sentence"
PLACES = ("/sign-in/", "/admin/login/")
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


class Hasher(hashers.MD5PasswordHasher):
    """A fast password hasher that counts its calls."""

    iterations = 1
    calls = 0
    at_once = most_at_once = 0
    seconds = 0.0

    def encode(self, password: str, salt: str) -> str:
        cls = type(self)
        cls.calls += 1
        cls.at_once += 1
        cls.most_at_once = max(cls.most_at_once, cls.at_once)
        time.sleep(cls.seconds)
        cls.at_once -= 1
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def hasher(settings: Any) -> type[Hasher]:
    settings.PASSWORD_HASHERS = [f"{__name__}.Hasher"]
    Hasher.calls = Hasher.at_once = Hasher.most_at_once = 0
    Hasher.seconds = 0.0
    return Hasher


@pytest.fixture(autouse=True)
def user(catalog: make.Catalog) -> User:
    catalog.vendor_user.set_password(PASSWORD)
    catalog.vendor_user.is_staff = True
    catalog.vendor_user.save()
    Hasher.calls = 0
    return catalog.vendor_user


def enter(
    place: str = "/sign-in/", name: str = "vendor1", password: str = "wrong", address: str = HERE
) -> Any:
    body = {"username": name, "password": password, "next": "/"}
    return Client().post(place, body, REMOTE_ADDR=address)


def is_refused(response: Any) -> bool:
    return "Too many failed sign-in attempts." in response.content.decode()


def is_in(response: Any) -> bool:
    return response.status_code in (302, 303)


def refusals(times: int, **fields: str) -> list[bool]:
    """Send the form several times; return whether it was refused each time."""
    return [is_refused(enter(**fields)) for _ in range(times)]


def pass_time(seconds: float) -> None:
    """Move the failures into the past: their time is the database's real time."""
    SignInTries.objects.update(at=F("at") - seconds)


@pytest.mark.parametrize("place", PLACES)
def test_sixth_attempt_is_refused_for_a_minute(place: str, hasher: type[Hasher]) -> None:
    assert refusals(5, place=place) == [False] * 5
    calls = hasher.calls
    response = enter(place, password=PASSWORD)
    assert (is_refused(response), hasher.calls) == (True, calls)
    if place == "/sign-in/":
        assert (response.status_code, response.headers["Retry-After"]) == (429, "60")
    pass_time(59)
    assert is_refused(enter(place))
    # Refused attempts do not extend the block.
    pass_time(2)
    assert is_in(enter(place, password=PASSWORD))


def test_both_forms_share_the_count() -> None:
    for place in (*PLACES, *PLACES, "/sign-in/"):
        enter(place)
    assert all(is_refused(enter(place, password=PASSWORD)) for place in PLACES)


@pytest.mark.parametrize(
    ("fields", "tries"), [({"address": ELSEWHERE}, 20), ({"name": "nobody"}, 6)]
)
def test_limit_applies_to_one_address_and_user_name(fields: dict[str, str], tries: int) -> None:
    refusals(tries, **fields)
    assert is_refused(enter(**fields))
    assert is_in(enter(password=PASSWORD))


def test_address_is_refused_after_fifty_failures() -> None:
    assert not any(is_refused(enter(name=f"name-{n}")) for n in range(50))
    assert is_refused(enter(password=PASSWORD))
    assert is_in(enter(password=PASSWORD, address=ELSEWHERE))
    pass_time(61)
    assert is_in(enter(password=PASSWORD))


def test_success_clears_the_failures_of_its_user_name() -> None:
    for n in range(48):
        enter(name=f"name-{n}")
    for _ in range(3):
        assert is_in(enter(password=PASSWORD))
    assert refusals(2) == [False, False]
    assert is_refused(enter(name="another"))


def test_success_after_four_failures_resets_the_count() -> None:
    for _ in range(3):
        refusals(4)
        assert is_in(enter(password=PASSWORD))


def test_failures_expire_after_ten_minutes() -> None:
    refusals(4)
    pass_time(601)
    assert refusals(4) == [False] * 4


def test_limits_use_real_time() -> None:
    refusals(5)
    moves.advance(timedelta(days=2))
    assert Clock.objects.get().offset > timedelta(days=1)
    assert is_refused(enter(password=PASSWORD))
    assert is_in(enter(password=PASSWORD, address=ELSEWHERE))


def test_limits_do_not_reveal_whether_the_user_exists(user: User, hasher: type[Hasher]) -> None:
    inactive = User.objects.create(username="inactive", uid="UR-1", is_active=False)
    inactive.set_password(PASSWORD)
    inactive.save()
    User.objects.create(username="none", uid="UR-2", password="!")
    results = {}
    for n, name in enumerate(("vendor1", "nobody", "inactive", "none", "vendor1 ")):
        hasher.calls = 0
        responses = [enter(name=name, address=f"192.0.2.{n + 10}") for _ in range(7)]
        results[name] = (hasher.calls, [(a.status_code, is_refused(a)) for a in responses])
    assert len(set(map(str, results.values()))) == 1, results
    assert results["nobody"][0] == 5


def test_names_and_addresses_are_not_stored() -> None:
    enter(name="my-password-by-mistake")
    stored = str(list(SignInTries.objects.values()))
    assert "my-password" not in stored and HERE not in stored


def test_incomplete_form_does_not_count(hasher: type[Hasher]) -> None:
    refusals(6, password="")
    assert not SignInTries.objects.exists() and hasher.calls == 0


def test_ipv6_network_has_one_count() -> None:
    for n in range(5):
        enter(address=f"2001:db8::{n + 1}")
    assert is_refused(enter(address="2001:db8::ffff"))
    assert not is_refused(enter(address="2001:db8:0:1::1"))
    assert sign_in_limits._network("::ffff:192.0.2.1") == "192.0.2.1"


def test_old_rows_are_deleted() -> None:
    enter()
    pass_time(3601)
    enter(name="another", address=ELSEWHERE)
    assert SignInTries.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_concurrent_attempts_are_limited(
    hasher: type[Hasher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in_limits, "_waiting", threading.BoundedSemaphore(40))
    responses = enter_at_once(12, "password")
    assert hasher.calls == 5
    assert [is_refused(response) for response in responses].count(True) == 7


def enter_at_once(number: int, field: str) -> list[Any]:
    """Send forms at the same time that differ in one field."""
    return concurrently(*(partial(enter, **{field: f"{field}-{n}"}) for n in range(number)))


@pytest.mark.django_db(transaction=True)
def test_passwords_are_hashed_one_at_a_time(hasher: type[Hasher]) -> None:
    hasher.seconds = 0.1
    responses = enter_at_once(10, "name")
    assert hasher.most_at_once == 1
    busy = [a for a in responses if "Too many people are signing in" in a.content.decode()]
    assert busy and all(response.status_code == 429 for response in busy)
    # Refused attempts are not counted as failures.
    failed = 10 - len(busy)
    assert sorted(SignInTries.objects.values_list("tries", flat=True))[-1] == failed
