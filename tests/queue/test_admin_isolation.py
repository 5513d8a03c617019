"""Every page of the admin shows an account only its own objects."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from requests_queue.catalog.admin_access import GuardedAdmin
from requests_queue.catalog.models import ApiToken, User
from requests_queue.queues.billing.models import PROVIDER_TYPE, BillingRequest
from tests.contract.accounts import Platform, platform  # noqa: F401  (fixture)
from tests.copies import ID
from tests.marks import nightly
from tests.queue.platforms import undone
from tests.signed_in import signed_in, staff

pytestmark = pytest.mark.django_db

# One account for each relation to the others.
_NEW_VENDOR = nightly("new vendor", reason="as the new distributor")
PARTIES = pytest.mark.parametrize("party", ["vendor", _NEW_VENDOR, "new distributor"])
# Django's own pages, which require model permissions that no account has.
DJANGOS = {"auth.Group"}
# For administrators only: tests/contract/test_audit.py.
ADMINISTRATORS = {"catalog.AuditEntry"}
admin.autodiscover()
PAGES = {
    m: p for m, p in admin.site._registry.items() if m._meta.label not in DJANGOS | ADMINISTRATORS
}
# Tables that Django writes when a signed-in user opens a page.
OWN = ("django_session", "catalog_user", "django_admin_log")


@pytest.fixture
def client(platform: Platform, party: str) -> Client:
    return signed_in(staff(platform.account_of(party).users.filter(is_service=False).first()))


def page(model: Any, name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def listed(client: Client, model: Any, query: str = "") -> set[Any]:
    """Return the keys of all rows of a list; none where Django refuses the query."""
    response = client.get(f"{page(model, 'changelist')}?{query}")
    if response.status_code == 400 or response.headers.get("Location", "").endswith("e=1"):
        return set()
    assert response.status_code == 200, (model, query, response)
    return set(response.context["cl"].queryset.values_list("pk", flat=True))


def ids_in(response: Any) -> set[str]:
    return set(ID.findall(response.content.decode()))


def written(captured: CaptureQueriesContext) -> list[str]:
    return [
        q["sql"]
        for q in captured
        if q["sql"].lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))
        and not any(f'"{table}"' in q["sql"][:60] for table in OWN)
    ]


def test_every_admin_page_is_guarded() -> None:
    pages = admin.site._registry.items()
    assert {m._meta.label for m, p in pages if not isinstance(p, GuardedAdmin)} == DJANGOS


@PARTIES
def test_lists_and_pages_show_only_own_objects(
    platform: Platform, client: Client, party: str
) -> None:
    hidden = platform.hidden_from(party)
    for model in PAGES:
        pks = listed(client, model)
        assert pks, f"{party} has no {model._meta.label}"
        assert not pks & platform.hidden_rows(party, model), model
        if route := {User: "account", ApiToken: "user__account"}.get(model):
            owners = model.objects.filter(pk__in=pks).values_list(route, flat=True)
            assert set(owners) == {platform.account_of(party).pk}
        for url in (page(model, "changelist"), page(model, "change", sorted(pks)[0])):
            response = client.get(url)
            assert response.status_code == 200
            assert not ids_in(response) & hidden, url
    assert not ids_in(client.get("/admin/")) & hidden
    assert client.get("/admin/auth/group/").status_code == 403


@PARTIES
def test_own_pages_contain_nothing_of_others(
    platform: Platform, client: Client, party: str
) -> None:
    hidden = platform.hidden_from(party)
    for model, shown in PAGES.items():
        for name in ("add", "history"):
            args = () if name == "add" else (sorted(listed(client, model))[0],)
            response = client.get(page(model, name, *args))
            assert response.status_code in (200, 403)
            assert not ids_in(response) & hidden, (model, name)
        for column in model._meta.concrete_fields:
            if column.is_relation:
                names = {
                    "app_label": model._meta.app_label,
                    "field_name": column.name,
                    "model_name": model._meta.model_name,
                    "term": "",
                }
                response = client.get("/admin/autocomplete/", names)
                assert response.status_code in (200, 403) and not ids_in(response) & hidden, shown


@PARTIES
def test_pages_of_others_objects_are_not_found(
    platform: Platform, client: Client, party: str
) -> None:
    for model, shown in PAGES.items():
        others = sorted(platform.hidden_rows(party, model))
        pk = others[0]
        for name in ("change", "history", "delete"):
            for method in (client.get, client.post):
                with undone(), CaptureQueriesContext(connection) as captured:
                    response = method(page(model, name, pk), {"post": "yes", "_save": "1"})
                assert response.status_code in (302, 403, 404), (model, name, response)
                assert written(captured) == []
        moves = [*getattr(shown, "queue", None).by_name] if hasattr(shown, "queue") else []
        urls = [page(model, "move", pk, name) for name in moves[:2]]
        if model._meta.label == "webhooks.Webhook":
            urls += [page(model, "do", pk, "trigger"), page(model, "secret", pk)]
        for url in urls:
            with CaptureQueriesContext(connection) as captured:
                assert client.post(url, {"reason": "No."}).status_code == 404
            assert written(captured) == []
        assert not listed(client, model, f"q={pk}") & set(others)


@PARTIES
def test_list_actions_do_not_change_others_objects(
    platform: Platform, client: Client, party: str
) -> None:
    for model in PAGES:
        url = page(model, "changelist")
        form = client.get(url).context.get("action_form")
        others = [str(pk) for pk in sorted(platform.hidden_rows(party, model))[:3]]
        for action, _ in form.fields["action"].choices if form else ():
            if action:
                body = {
                    "action": action,
                    "_selected_action": others,
                    "confirmed": "yes",
                    "post": "yes",
                    "reason": "No.",
                    "body": "{}",
                }
                with CaptureQueriesContext(connection) as captured:
                    response = client.post(url, body)
                assert written(captured) == [] and response.status_code in (200, 302), (
                    model,
                    action,
                )
                assert not ids_in(response) & set(others)


@pytest.mark.parametrize("party", [_NEW_VENDOR, "new distributor"])
def test_list_queries_reveal_nothing_about_others(
    platform: Platform, client: Client, party: str
) -> None:
    wrong = set()
    for model in PAGES:
        for relation in model._meta.get_fields(include_hidden=True):
            target = relation.related_model if relation.is_relation else None
            if target is None or isinstance(target, str):
                continue
            others = platform.hidden_rows(party, target)
            query = relation.name if relation.concrete else relation.field.related_query_name()
            if any(listed(client, model, f"{query}={pk}") for pk in sorted(others)[:2]):
                wrong.add((model._meta.label, query))
    assert wrong == set()


@pytest.mark.parametrize("party", ["vendor"])
def test_list_queries_reveal_no_hidden_columns(client: Client, party: str) -> None:
    assert listed(client, User)
    for query in ("password__startswith=", "token__digest__startswith=", "account__users="):
        assert not listed(client, User, query)


@pytest.mark.parametrize("party", ["vendor", "distributor"])
def test_vendor_and_provider_secrets_stay_hidden(
    platform: Platform, client: Client, party: str
) -> None:
    account = platform.account_of(party)
    hidden = BillingRequest.objects.filter(type=PROVIDER_TYPE)
    if party == "vendor":
        keys = set(hidden.values_list("pk", flat=True))
        assert keys and not listed(client, BillingRequest) & keys
        assert client.get(page(BillingRequest, "change", min(keys))).status_code == 302
    for model in PAGES:
        if model._meta.app_label == "webhooks":
            route = "account" if model._meta.model_name == "webhook" else "webhook__account"
            rows = model._default_manager.exclude(**{route: account})
            assert not listed(client, model) & set(rows.values_list("pk", flat=True))
