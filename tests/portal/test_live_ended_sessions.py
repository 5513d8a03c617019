"""Sessions that end while their pages are open: they get nothing that changes afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from portal.live.open_sessions import open_sessions
from requests_queue.catalog.models import User
from tests import make
from tests.portal.live_server import (
    Server,
    catalog,
    change,
    colleague,
    cookies,
    opened,
    server,
)
from tests.signed_in import signed_in

SESSION = django_settings.SESSION_COOKIE_NAME
pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["catalog", "server"]


def sign_out(client: Client, user: User, catalog: make.Catalog) -> None:
    assert client.post("/sign-out/").status_code == 303


def expire(client: Client, user: User, catalog: make.Catalog) -> None:
    Session.objects.filter(pk=client.session.session_key).update(expire_date=timezone.now())


def change_password(client: Client, user: User, catalog: make.Catalog) -> None:
    user.set_password("another one")
    user.save()


def deactivate(client: Client, user: User, catalog: make.Catalog) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def move_account(client: Client, user: User, catalog: make.Catalog) -> None:
    User.objects.filter(pk=user.pk).update(account=catalog.provider)


def make_service(client: Client, user: User, catalog: make.Catalog) -> None:
    User.objects.filter(pk=user.pk).update(is_service=True)


def delete(client: Client, user: User, catalog: make.Catalog) -> None:
    user.delete()


@pytest.mark.parametrize(
    "end", [sign_out, expire, change_password, deactivate, move_account, make_service, delete]
)
def test_session_that_has_ended_gets_no_later_change(
    server: Server,
    catalog: make.Catalog,
    end: Callable[[Client, User, make.Catalog], None],
) -> None:
    user = colleague(catalog)
    first, second = signed_in(catalog.vendor_user), signed_in(user)
    sent = cookies(second)
    with opened(server, first, second) as streams:
        server.by_django(first)
        server.by_loop(second)
        end(second, user, catalog)
        second.cookies.load(sent)
        change(catalog.vendor.pk, *streams)
        server.by_django(first)
        # Who acts as another account now gets the log of that one.
        expected = 200 if end is move_account else 403
        assert server.by_django(second).status_code == expected
        server.by_loop(first)


def test_ended_session_that_asks_first_does_not_keep_others_from_sharing(
    server: Server, catalog: make.Catalog
) -> None:
    first, second, ended = (signed_in(colleague(catalog, n)) for n in range(3))
    with opened(server, first, second, ended) as streams:
        server.by_django(first)
        Session.objects.filter(pk=ended.session.session_key).delete()
        change(catalog.vendor.pk, *streams)
        assert server.by_django(ended).status_code == 403
        server.by_django(first)
        server.by_loop(second)
        assert open_sessions.get(ended.cookies[SESSION].value) is None
