"""Sign-in, sign-out and passwords: who is let in, what a stranger learns, and where it leads."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.hashers import check_password
from django.test import Client

from portal import signin
from requests_queue.catalog.models import User
from tests import make
from tests.signed_in import root, signed_in, world  # noqa: F401  (fixtures)

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough sentence"


@pytest.fixture(autouse=True)
def quick(settings: Any) -> None:
    """What makes guessing slow makes tests slow."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def user(world: make.World) -> User:
    """A user of the vendor who has a password."""
    world.vendor_user.set_password(PASSWORD)
    world.vendor_user.save()
    return world.vendor_user


def enter(client: Client, name: str = "vendor1", password: str = PASSWORD, **more: str) -> Any:
    return client.post("/sign-in/", {"username": name, "password": password, **more})


def is_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def without_token(answer: Any) -> str:
    """Return a page without what differs each time."""
    lines = answer.content.decode().splitlines()
    return "\n".join(line for line in lines if "csrfmiddlewaretoken" not in line)


# -- by name and password


def test_a_name_and_its_password_let_in(user: User) -> None:
    client = Client()
    answer = enter(client)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert is_in(client)


def test_a_stranger_learns_nothing_of_who_there_is(user: User) -> None:
    for name in ("inactive", "service"):
        other = User.objects.create(
            username=name, uid=f"UR-{name}", account=user.account, is_active=name != "inactive",
            is_service=name == "service",
        )  # fmt: skip
        other.set_password(PASSWORD)
        other.save()
    said = set()
    for name, password in (
        ("vendor1", "wrong"), ("nobody", PASSWORD), ("inactive", PASSWORD), ("service", PASSWORD),
        ("provider1", PASSWORD),
    ):  # fmt: skip
        client = Client()
        answer = enter(client, name, password)
        assert answer.status_code == 400 and not is_in(client)
        assert "This name and password don't fit" in answer.content.decode().replace("&#x27;", "'")
        said.add(without_token(answer).replace(name, "NAME"))
    assert len(said) == 1


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("/products/?q=x", "/products/?q=x"),
        ("https://evil.example.com/", "/"),
        ("//evil.example.com/", "/"),
        ("/\\evil.example.com", "/"),
        ("\\\\evil.example.com", "/"),
        ("///evil.example.com", "/"),
        ("javascript:alert(1)", "/"),
        ("products/", "/"),
        ("", "/"),
    ],
)
def test_it_leads_to_pages_of_ours_only(asked: str, expected: str, user: User) -> None:
    client = Client()
    assert enter(client, next=asked).headers["Location"] == expected
    # Whoever is in already needs no form.
    again = client.get("/sign-in/", {"next": asked})
    assert (again.status_code, again.headers["Location"]) == (303, expected)


def test_a_page_that_was_asked_for_comes_after_the_form(user: User) -> None:
    client = Client()
    turned = client.get("/products/?q=x").headers["Location"]
    assert 'name="next" value="/products/?q=x"' in client.get(turned).content.decode()


def test_a_session_is_another_one_after_the_sign_in(user: User) -> None:
    client = Client()
    session = client.session
    session["kept"] = 1
    session.save()
    before = session.session_key
    client.cookies["sessionid"] = before
    enter(client)
    assert client.session.session_key != before
    after = client.session.session_key
    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert not is_in(client)
    client.cookies["sessionid"] = after
    assert not is_in(client)


def test_a_form_of_another_site_signs_nobody_in_or_out(user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = enter(client)
    assert answer.status_code == 403 and "This was not sent" in answer.content.decode()
    client.force_login(user)
    assert client.post("/sign-out/").status_code == 403
    assert client.get("/sign-out/").status_code == 405
    assert is_in(client)


def test_a_server_tells_of_no_sandbox(settings: Any, world: make.World) -> None:
    assert "The sandbox prints a link" in Client().get("/sign-in/").content.decode()
    settings.SANDBOX = False
    said = Client().get("/sign-in/").content.decode()
    assert "sandbox" not in said and "Ask whoever runs this server" in said


# -- by link


def test_a_link_works_once_and_only_when_it_is_followed(world: make.World) -> None:
    link = signin.link(world.vendor_user)
    assert Client().head(link).status_code == 405
    client = Client()
    answer = client.get(link)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert is_in(client)
    used = Client().get(link)
    assert used.status_code == 403 and "has been used" in used.content.decode()


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_service": True}])
def test_a_link_lets_in_nobody_else(world: make.World, change: dict[str, bool]) -> None:
    link = signin.link(world.vendor_user)
    User.objects.filter(pk=world.vendor_user.pk).update(**change)
    client = Client()
    assert client.get(link).status_code == 403
    assert not is_in(client)


# -- a password of one's own


def new(client: Client, first: str = PASSWORD, second: str = PASSWORD, old: str = "") -> Any:
    body = {"new_password1": first, "new_password2": second, "old_password": old}
    return client.post("/password/", body)


def test_whoever_came_by_link_sets_a_password(world: make.World) -> None:
    world.vendor_user.set_unusable_password()
    world.vendor_user.save()
    client, elsewhere = Client(), Client()
    elsewhere.force_login(world.vendor_user)
    client.get(signin.link(world.vendor_user))
    unused = signin.link(User.objects.get(pk=world.vendor_user.pk))
    assert "Set a password" in client.get("/").content.decode()
    assert "old_password" not in client.get("/password/").content.decode()
    answer = new(client)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/password/")
    after = client.get("/password/").content.decode()
    assert "Your password is set. Your name is vendor1." in after
    assert "Change password" in after
    assert is_in(client) and not is_in(elsewhere)
    assert Client().get(unused).status_code == 403
    assert is_in_by(PASSWORD)


def is_in_by(password: str) -> bool:
    client = Client()
    enter(client, password=password)
    return is_in(client)


def test_whoever_has_one_has_to_know_it(user: User) -> None:
    client = Client()
    client.force_login(user)
    answer = new(client, "another long sentence", "another long sentence", "wrong")
    assert answer.status_code == 400
    assert "This is not your old password." in answer.content.decode()
    assert new(client, "another long sentence", "another long sentence").status_code == 400
    assert is_in_by(PASSWORD)
    assert (
        new(client, "another long sentence", "another long sentence", PASSWORD).status_code == 303
    )
    assert is_in(client) and is_in_by("another long sentence") and not is_in_by(PASSWORD)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("short", "short", "too short"),
        ("password1", "password1", "too common"),
        (PASSWORD, PASSWORD + "!", "not the same"),
        ("", "", "required"),
    ],
)
def test_a_bad_password_is_said_to_be(
    world: make.World, first: str, second: str, said: str
) -> None:
    world.vendor_user.set_unusable_password()
    world.vendor_user.save()
    client = signed_in(world.vendor_user)
    answer = new(client, first, second)
    assert answer.status_code == 400 and said in answer.content.decode()
    if first:
        assert f'value="{first}' not in answer.content.decode()
    assert not check_password(first, User.objects.get(pk=world.vendor_user.pk).password)


def test_an_administrator_who_acts_for_others_sets_their_own(
    root: Client, world: make.World
) -> None:
    before = User.objects.get(pk=world.vendor_user.pk).password
    User.objects.filter(username="root").update(password="!")
    root.force_login(User.objects.get(username="root"))
    assert new(root).status_code == 303
    assert User.objects.get(username="root").check_password(PASSWORD)
    assert User.objects.get(pk=world.vendor_user.pk).password == before


def test_strangers_set_no_password(world: make.World) -> None:
    assert Client().get("/password/").headers["Location"] == "/sign-in/?next=%2Fpassword%2F"
    assert new(Client()).headers["Location"] == "/sign-in/"


# -- the admin


def test_the_admin_is_for_staff(user: User) -> None:
    client = Client()
    enter(client)
    assert is_in(client) and b'href="/admin/"' not in client.get("/").content
    assert client.get("/admin/").headers["Location"].startswith("/admin/login/")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    assert client.get("/admin/").status_code == 200
    assert b'href="/admin/"' in client.get("/").content
    by_admin = Client()
    body = {"username": "vendor1", "password": PASSWORD, "next": "/admin/"}
    assert by_admin.post("/admin/login/", body).status_code == 302
    assert by_admin.get("/admin/").status_code == 200


def test_a_user_without_an_account_is_told_so(user: User) -> None:
    User.objects.filter(pk=user.pk).update(account=None)
    client = Client()
    enter(client)
    answer = client.get("/")
    assert answer.status_code == 403 and "You belong to no account" in answer.content.decode()
