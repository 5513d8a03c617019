"""Pages of products: what each account may see, and capabilities."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.products import labels
from requests_queue.catalog.models import Account, Item, Product, Template, User
from requests_queue.catalog.writes.capabilities import TREE
from requests_queue.queues.listing import samples
from requests_queue.seed.products import BACKUP, SUITE
from tests import html, make
from tests.api import PROVIDER, VENDOR
from tests.html import Element
from tests.signed_in import signed_in
from webhooks import types
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db
TABS = ("", "items/", "parameters/", "templates/", "capabilities/")


def user(pk: str) -> User:
    return User.objects.filter(account=pk, is_service=False).order_by("pk")[0]


@pytest.fixture
def nimbus(seeded: Any) -> Client:
    """The demo vendor in a browser."""
    return signed_in(user(VENDOR))


@pytest.fixture
def northland(seeded: Any) -> Client:
    """The demo distributor in a browser."""
    return signed_in(user(PROVIDER))


def page(client: Client, path: str) -> Element:
    """Open a page."""
    return html.get(client, path)


def product(pk: str = SUITE) -> Product:
    return Product.objects.get(pk=pk)


# -- contents and access


def test_list_counts_own_webhooks_and_open_objects(nimbus: Client) -> None:
    row = product()
    make.webhook(
        make.Catalog(Account.objects.get(pk=VENDOR), *[None] * 3, row, *[None] * 3)  # type: ignore[arg-type]
    )
    make.webhook(
        make.Catalog(Account.objects.get(pk=PROVIDER), *[None] * 3, row, *[None] * 3),  # type: ignore[arg-type]
        n=2,
    )
    context = nimbus.get("/products/").context
    suite, open_objects = next(line for line in context["rows"] if line[0].pk == SUITE)
    assert suite.webhook_count == 1
    expected = sum(
        queue.model._default_manager.filter(product=SUITE, vendor=VENDOR)
        .exclude(status__in=queue.final)
        .count()
        for queue in types.base.registered()
        if queue.statuses
    )
    assert open_objects == expected > 0


def test_own_webhooks_are_linked(nimbus: Client, northland: Client) -> None:
    row = Webhook.objects.create(
        id="WH-1-2-3",
        label="Mine",
        object_class="fulfillment_request",
        external_url="http://x/",
        jwt_secret="s" * 32,
        product_id=SUITE,
        account_id=VENDOR,
        created_at=make.AT,
    )
    shown = page(nimbus, f"/products/{SUITE}/")
    assert shown.by_role("link", "Mine")["href"] == f"/webhooks/{row.pk}/"
    assert "Subscription — Fulfillment Requests — Queue Changes" in shown
    assert row.pk not in page(northland, f"/products/{SUITE}/")


def test_templates_are_rendered_without_scripts_and_images(nimbus: Client) -> None:
    Template.objects.filter(product=BACKUP, type="fulfillment").update(
        body="# Ready\n\n**Now** <script>alert(1)</script> {{ asset.id }} ![x](http://evil/x.png)"
    )
    letter = page(nimbus, f"/products/{BACKUP}/templates/").all("article")[0]
    assert "Ready" in [heading.text for heading in letter.all("h2")]
    assert "Now" in [strong.text for strong in letter.all("strong")]
    shown = page(nimbus, f"/products/{BACKUP}/templates/").one("main")
    assert not shown.all("script") and not shown.all("img")
    assert "{{ asset.id }}" in shown


def test_empty_table_header_is_left_out(nimbus: Client) -> None:
    rows = Template.objects.filter(product=BACKUP)
    shown = page(nimbus, f"/products/{BACKUP}/templates/")
    assert "Activation id" in shown.rows()[0] and not shown.all("thead")
    rows.filter(type="fulfillment").update(body="| Name | |\n|---|---|\n| a | b |")
    shown = page(nimbus, f"/products/{BACKUP}/templates/")
    assert shown.one("thead").all("th")[0].text == "Name"


@pytest.mark.parametrize("path", ["/products/", *(f"/products/{SUITE}/{tab}" for tab in TABS)])
def test_number_of_statements_is_constant(path: str, nimbus: Client) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as statements:
            assert nimbus.get(path).status_code == 200
        return len(statements)

    few = statements()
    template = Template.objects.filter(product=SUITE)[0]
    item = Item.objects.filter(product=SUITE)[0]
    for n in range(5):
        Product.objects.create(
            id=f"PRD-000-000-00{n}",
            name=f"More {n}",
            owner_id=VENDOR,
            created=make.AT,
            updated=make.AT,
        )
        template.pk, template.name = f"TL-000-000-00{n}", f"More {n}"
        template.save(force_insert=True)
        item.pk, item.local_id, item.mpn = f"{SUITE}-100{n}", f"More {n}", f"MORE-{n}"
        item.save(force_insert=True)
        Webhook.objects.create(
            id=f"WH-1-2-{n}",
            label=f"Mine {n}",
            object_class="fulfillment_request",
            external_url="http://x/",
            jwt_secret="s" * 32,
            product_id=SUITE,
            account_id=VENDOR,
            created_at=make.AT,
        )
    assert statements() == few


# -- capabilities


def leaves(tree: Any, path: str = "") -> list[str]:
    if not isinstance(tree, dict):
        return [path]
    return [leaf for key, inner in tree.items() for leaf in leaves(inner, f"{path}.{key}")]


def test_each_capability_is_in_one_group() -> None:
    shown = [path for *_, paths in labels.GROUPS for path in paths]
    assert sorted(shown) == sorted(leaf.removeprefix(".") for leaf in leaves(TREE))
    for path, choices in labels.CHOICES.items():
        kind: Any = TREE
        for key in path.split("."):
            kind = kind[key]
        assert kind is int or set(choices) == set(kind), path


def test_capabilities_name_the_webhook_types_that_require_them(nimbus: Client) -> None:
    shown = page(nimbus, f"/products/{SUITE}/capabilities/")
    for kind in types.registered():
        assert not kind.trigger or kind.label in shown


def sent(client: Client, group: str) -> dict[str, Any]:
    """Return what a browser sends of an unchanged form of a group."""
    context = client.get(f"/products/{SUITE}/capabilities/").context
    form = next(one["form"] for one in context["groups"] if one["slug"] == group)
    values = {name: form[name].value() for name in form.fields}
    return {"group": group, **{n: "on" if v is True else v for n, v in values.items() if v}}


@pytest.mark.parametrize("group", [slug for slug, *_ in labels.GROUPS])
def test_unchanged_form_changes_nothing(group: str, nimbus: Client) -> None:
    before = product().capabilities
    response = nimbus.post(f"/products/{SUITE}/capabilities/", sent(nimbus, group))
    assert response.status_code == 303
    assert product().capabilities == before


def test_vendor_switches_a_capability_off_and_on(nimbus: Client) -> None:
    body = sent(nimbus, "purchases")
    del body["cart.validation"]
    before = product().capabilities
    response = nimbus.post(f"/products/{SUITE}/capabilities/", body, follow=True)
    assert html.parse(response).messages == "Purchases saved"
    assert product().capabilities == {**before, "cart": {"validation": False}}
    nimbus.post(f"/products/{SUITE}/capabilities/", {**body, "cart.validation": "on"})
    assert product().capabilities == before


def test_switching_a_branch_off_removes_it(nimbus: Client) -> None:
    body = sent(nimbus, "usage")
    del body["ppu.ppu"]
    nimbus.post(f"/products/{SUITE}/capabilities/", body)
    assert product().capabilities["ppu"] == {"ppu": False}
    body = {
        "group": "usage",
        "ppu.ppu": "on",
        "ppu.schema": "TR",
        "ppu.late": "on",
        "ppu.required_custom_fields": " region, zone ,",
    }
    nimbus.post(f"/products/{SUITE}/capabilities/", body)
    row = product()
    assert row.capability("ppu.schema") == "TR" and row.capability("ppu.late") is True
    assert row.capability("ppu.required_custom_fields") == ["region", "zone"]
    assert row.capability("ppu.dynamic") is False


def test_tiers_keep_their_level(nimbus: Client) -> None:
    body = {**sent(nimbus, "tiers"), "tiers.configs.level": "1"}
    nimbus.post(f"/products/{SUITE}/capabilities/", body)
    assert product().capability("tiers.configs.level") == 1


def test_invalid_choice_is_refused_at_its_field(nimbus: Client) -> None:
    before = product().capabilities
    body = {**sent(nimbus, "usage"), "ppu.schema": "XX"}
    response = nimbus.post(f"/products/{SUITE}/capabilities/", body)
    assert response.status_code == 400
    assert "XX is not one of" in " ".join(html.parse(response).errors)
    assert product().capabilities == before
    for group in ("", "nowhere"):
        assert nimbus.post(f"/products/{SUITE}/capabilities/", {"group": group}).status_code == 400


def test_distributor_cannot_change_capabilities(northland: Client) -> None:
    shown = page(northland, f"/products/{SUITE}/capabilities/")
    assert "Only Nimbus Inc can change these." in shown
    assert not shown.all("main input")
    before = product().capabilities
    response = northland.post(f"/products/{SUITE}/capabilities/", {"group": "purchases"})
    assert response.status_code == 403
    assert product().capabilities == before


def test_unset_capabilities_are_off(northland: Client, nimbus: Client) -> None:
    Product.objects.filter(pk=SUITE).update(capabilities={})
    states = page(northland, f"/products/{SUITE}/capabilities/").terms()
    assert (states["Pay as you go"], states["Schema of usage files"]) == ("Off", "Not set")
    assert nimbus.get(f"/products/{SUITE}/capabilities/").status_code == 200


def test_product_that_was_never_sold_is_deleted(nimbus: Client, settings: Any) -> None:
    assert not html.get(nimbus, f"/products/{BACKUP}/").all(
        f'form[action="/products/{BACKUP}/delete/"]'
    )
    nimbus.post(f"/products/{BACKUP}/delete/")
    assert html.get(nimbus, f"/products/{BACKUP}/").messages.startswith("Not deleted.")
    row = samples.create_sample("new", None)
    at = f"/products/{row.product_id}/"
    assert html.get(nimbus, at).by_role("button", f"Delete {row.product.name}")
    settings.SANDBOX = False
    assert nimbus.post(f"{at}delete/").status_code == 404
    settings.SANDBOX = True
    response = nimbus.post(f"{at}delete/")
    assert (response.status_code, response["Location"]) == (303, "/products/")
    assert html.get(nimbus, "/products/").messages == f"{row.product.name} deleted"
    html.get(nimbus, at, 404)
