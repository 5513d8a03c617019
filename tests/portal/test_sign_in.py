"""Sign-in, sign-out and passwords."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.hashers import check_password
from django.test import Client

from portal import sign_in
from requests_queue.catalog.models import User
from tests import html, make
from tests.signed_in import signed_in

SESSION = django_settings.SESSION_COOKIE_NAME
pytestmark = pytest.mark.django_db
PASSWORD, OTHER = "a long enough sentence", "another long sentence"


@pytest.fixture(autouse=True)
def quick(settings: Any) -> None:
    """Hash passwords fast."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def user(catalog: make.Catalog) -> User:
    """A user of the vendor who has a password."""
    catalog.vendor_user.set_password(PASSWORD)
    catalog.vendor_user.save()
    return catalog.vendor_user


def enter(client: Client, name: str = "vendor1", password: str = PASSWORD, **more: str) -> Any:
    return client.post("/sign-in/", {"username": name, "password": password, **more})


def is_in(client: Client) -> bool:
    return client.get("/").status_code == 200


# -- by name and password


def test_password_signs_in(user: User) -> None:
    client = Client()
    response = enter(client)
    assert (response.status_code, response.headers["Location"], is_in(client)) == (303, "/", True)


def test_failed_sign_in_does_not_reveal_whether_the_user_exists(user: User) -> None:
    for name, fields in (("inactive", {"is_active": False}), ("service", {"is_service": True})):
        other = User(username=name, uid=f"UR-{name}", account=user.account, **fields)
        other.set_password(PASSWORD)
        other.save()
    pages = set()
    for name, password in (
        ("vendor1", "wrong"),
        ("nobody", PASSWORD),
        ("inactive", PASSWORD),
        ("service", PASSWORD),
        ("provider1", PASSWORD),
    ):
        client = Client()
        response = enter(client, name, password)
        assert response.status_code == 400 and not is_in(client)
        page = html.parse(response)
        assert page.by_role("alert")
        token = page.one("[name=csrfmiddlewaretoken]").value
        pages.add(response.content.decode().replace(name, "NAME").replace(token, ""))
    assert len(pages) == 1


@pytest.mark.parametrize(
    ("requested", "expected"),
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
def test_next_page_is_on_this_server(requested: str, expected: str, user: User) -> None:
    client = Client()
    assert enter(client, next=requested).headers["Location"] == expected
    # A signed-in user is redirected without a form.
    again = client.get("/sign-in/", {"next": requested})
    assert (again.status_code, again.headers["Location"]) == (303, expected)


def test_requested_page_follows_the_sign_in(user: User) -> None:
    client = Client()
    form = html.get(client, client.get("/products/?q=x").headers["Location"])
    assert form.one("input[name=next]").value == "/products/?q=x"


def test_sign_in_and_sign_out_replace_the_session(user: User) -> None:
    client = Client()
    session = client.session
    session["kept"] = 1
    session.save()
    client.cookies[SESSION] = session.session_key
    enter(client)
    after = client.session.session_key
    assert after != session.session_key
    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert not is_in(client)
    client.cookies[SESSION] = after
    assert not is_in(client)


def test_form_of_another_site_neither_signs_in_nor_out(user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    response = enter(client)
    assert response.status_code == 403 and html.parse(response).by_role(
        "heading", "The form was not sent"
    )
    client.force_login(user)
    assert client.post("/sign-out/").status_code == 403
    assert client.get("/sign-out/").status_code == 405
    assert is_in(client)


def test_sign_in_hint_depends_on_the_sandbox(settings: Any, catalog: make.Catalog) -> None:
    assert html.get(Client(), "/sign-in/").one("[data-hint=sandbox]")
    settings.SANDBOX = False
    User.objects.create(username="root", uid="UR-0", is_superuser=True)
    page = html.get(Client(), "/sign-in/")
    assert page.one("[data-hint=server]") and "sandbox" not in page


# -- by link


def test_link_works_once_and_not_by_head(catalog: make.Catalog) -> None:
    link = sign_in.link(catalog.vendor_user)
    assert Client().head(link).status_code == 405
    client = Client()
    response = client.get(link)
    assert (response.status_code, response.headers["Location"], is_in(client)) == (303, "/", True)
    assert "has been used" in html.get(Client(), link, 403).by_role("heading")


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ("/traces/1/", "/traces/1/"),
        ("//evil.example.com/", "/"),
        ("https://evil.example.com/", "/"),
        ("/\\evil.example.com/", "/"),
    ],
)
def test_link_leads_to_a_local_page_only(
    catalog: make.Catalog, requested: str, expected: str
) -> None:
    response = Client().get(sign_in.link(catalog.vendor_user), {"next": requested})
    assert (response.status_code, response.headers["Location"]) == (303, expected)


def test_link_works_for_one_of_two_concurrent_requests(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, token = sign_in.link(catalog.vendor_user).split("/")[-2:]
    check = sign_in._tokens.check_token

    def check_before_the_other(user: User, token: str) -> bool:
        is_valid = check(user, token)
        monkeypatch.setattr(sign_in._tokens, "check_token", check)
        assert sign_in.redeem(uid, token)
        return is_valid

    monkeypatch.setattr(sign_in._tokens, "check_token", check_before_the_other)
    assert sign_in.redeem(uid, token) is None


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_service": True}])
def test_link_does_not_work_for_inactive_or_service_users(
    catalog: make.Catalog, change: dict[str, bool]
) -> None:
    link = sign_in.link(catalog.vendor_user)
    User.objects.filter(pk=catalog.vendor_user.pk).update(**change)
    client = Client()
    assert client.get(link).status_code == 403 and not is_in(client)


# -- changing the password


def new(client: Client, first: str = PASSWORD, second: str = "", old: str = "") -> Any:
    body = {"new_password1": first, "new_password2": second or first, "old_password": old}
    return client.post("/password/", body)


def test_user_without_a_password_sets_one(catalog: make.Catalog) -> None:
    catalog.vendor_user.set_unusable_password()
    catalog.vendor_user.save()
    client, elsewhere = Client(), Client()
    elsewhere.force_login(catalog.vendor_user)
    client.get(sign_in.link(catalog.vendor_user))
    unused = sign_in.link(User.objects.get(pk=catalog.vendor_user.pk))
    assert html.get(client, "/").by_role("link", "Set a password")
    assert not html.get(client, "/password/").all("[name=old_password]")
    response = new(client)
    assert (response.status_code, response.headers["Location"]) == (303, "/password/")
    after = html.get(client, "/password/")
    assert after.messages == "Password saved. Your user name is vendor1."
    assert after.by_role("button", "Change password")
    assert is_in(client) and not is_in(elsewhere)
    assert Client().get(unused).status_code == 403
    assert is_in_by(PASSWORD)


def is_in_by(password: str) -> bool:
    client = Client()
    enter(client, password=password)
    return is_in(client)


def test_changing_the_password_requires_the_old_one(user: User) -> None:
    client = signed_in(user)
    response = new(client, OTHER, old="wrong")
    assert response.status_code == 400
    assert html.parse(response).one("[data-field=old_password]").errors
    assert new(client, OTHER).status_code == 400
    assert is_in_by(PASSWORD)
    assert new(client, OTHER, old=PASSWORD).status_code == 303
    assert (is_in(client), is_in_by(OTHER), is_in_by(PASSWORD)) == (True, True, False)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("short", "short", "too short"),
        ("password1", "password1", "too common"),
        (PASSWORD, PASSWORD + "!", "do not match"),
        ("", "", "required"),
    ],
)
def test_invalid_password_is_refused(
    catalog: make.Catalog, first: str, second: str, message: str
) -> None:
    catalog.vendor_user.set_unusable_password()
    catalog.vendor_user.save()
    response = new(signed_in(catalog.vendor_user), first, second)
    assert response.status_code == 400
    page = html.parse(response)
    assert message in " ".join(page.errors)
    assert all(field.value == "" for field in page.all("input[type=password]"))
    assert not check_password(first, User.objects.get(pk=catalog.vendor_user.pk).password)


def test_administrator_changes_their_own_password(catalog: make.Catalog) -> None:
    root = User.objects.create(username="root", uid="UR-0", is_superuser=True, password="!")
    assert new(signed_in(root)).status_code == 303
    root.refresh_from_db()
    assert root.check_password(PASSWORD)
    before = catalog.vendor_user.password
    catalog.vendor_user.refresh_from_db()
    assert catalog.vendor_user.password == before


# -- the admin


def test_admin_link_is_shown_to_staff(user: User) -> None:
    client = signed_in(user)
    assert not html.get(client, "/").roles("link", "Admin")
    assert client.get("/admin/").headers["Location"].startswith("/admin/login/")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    assert client.get("/admin/").status_code == 200
    assert html.get(client, "/").by_role("link", "Admin")["href"] == "/admin/"
    by_admin = Client()
    body = {"username": "vendor1", "password": PASSWORD, "next": "/admin/"}
    assert by_admin.post("/admin/login/", body).status_code == 302
    assert by_admin.get("/admin/").status_code == 200
