"""Who is let in to the pages, as which account, and where their buttons lead."""

from __future__ import annotations

import pytest
from django.test import Client

from requests_queue.catalog.models import User
from tests import make
from tests.make import World
from tests.signed_in import distributor, root, signed_in, stranger, vendor, world

__all__ = ["distributor", "root", "stranger", "vendor", "world"]

pytestmark = pytest.mark.django_db

PAGES = ("/", "/webhooks/", "/deliveries/", "/queues/", "/products/", "/password/")


@pytest.mark.parametrize("path", PAGES)
def test_nobody_is_asked_to_sign_in_and_brought_back(client: Client, path: str) -> None:
    answer = client.get(f"{path}?a=1")
    assert answer.status_code == 303
    assert answer["Location"].startswith("/sign-in/?next=%2F")
    assert client.post("/acting/").status_code == 303


def test_a_piece_of_a_page_has_the_page_loaded_anew(client: Client) -> None:
    answer = client.get("/home/live/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Refresh"], answer.content) == (403, "true", b"")


@pytest.mark.parametrize("path", PAGES[:-1])
def test_who_belongs_to_no_account_is_told_so(path: str, world: World) -> None:
    user = User.objects.create(username="lost", uid="UR-300-000-001")
    answer = signed_in(user).get(path)
    assert answer.status_code == 403
    assert b"You belong to no account" in answer.content


def test_a_service_user_sees_nothing(world: World) -> None:
    world.vendor_user.is_service = True
    world.vendor_user.save()
    assert signed_in(world.vendor_user).get("/").status_code in (303, 403)


def test_an_administrator_acts_as_one_account_at_a_time(root: Client, world: World) -> None:
    assert world.vendor.name in root.get("/").content.decode()
    choice = {"account": world.provider.pk, "next": "/queues/"}
    assert root.post("/acting/", choice)["Location"] == "/queues/"
    page = root.get("/queues/").content.decode()
    assert 'role-distributor">distributor</span> <span class="who-name">' in page


def test_a_user_of_an_account_acts_as_no_other(vendor: Client, world: World) -> None:
    assert vendor.post("/acting/", {"account": world.provider.pk}).status_code == 404
    page = vendor.get("/queues/").content.decode()
    assert "Act as" not in page
    assert 'role-vendor">vendor</span> <span class="who-name">' in page


def test_an_account_that_is_gone_is_acted_as_no_more(root: Client, world: World) -> None:
    other = make.world("2").provider
    root.post("/acting/", {"account": other.pk})
    other.delete()
    assert world.vendor.name in root.get("/queues/").content.decode()


@pytest.mark.parametrize(
    "elsewhere", ["https://example.com/", "//example.com", "/\\example.com", "javascript:alert(1)"]
)
def test_buttons_lead_to_pages_of_ours_only(root: Client, world: World, elsewhere: str) -> None:
    answer = root.post("/acting/", {"account": world.provider.pk, "next": elsewhere})
    assert answer["Location"] == "/"


def test_a_page_says_that_it_belongs_to_this_server(vendor: Client) -> None:
    answer = vendor.get("/queues/")
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/queues/%00/", "/queues/?q=%00", "/forms/PR-1?code=%00"])
def test_a_nul_in_an_address_is_a_page(vendor: Client, path: str) -> None:
    answer = vendor.get(path)
    assert answer.status_code == 400
    assert b"NUL" in answer.content
