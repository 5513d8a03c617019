"""Pages of products: what each account may see, and capabilities."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from portal.products import labels
from requests_queue.catalog.models import Item, Product, Template
from requests_queue.catalog.writes.capabilities import TREE
from requests_queue.queues.listing import samples
from requests_queue.seed.products import BACKUP, SUITE
from tests import html, make
from tests.api import PROVIDER, VENDOR
from tests.portal.queues import distributor, refused, seeded, vendor
from tests.portal.statements import counts
from webhooks import types
from webhooks.models import Webhook

__all__ = ["distributor", "seeded", "vendor"]

pytestmark = pytest.mark.django_db
CAPABILITIES = f"/products/{SUITE}/capabilities/"
TABS = ("", "items/", "parameters/", "templates/", "capabilities/")


def product() -> Product:
    return Product.objects.get(pk=SUITE)


def webhook(n: int, **more: Any) -> Webhook:
    """Create a webhook of the vendor for the suite."""
    fields = {
        "label": f"Mine {n}",
        "object_class": "fulfillment_request",
        "external_url": "http://x/",
        "jwt_secret": "s" * 32,
        "product_id": SUITE,
        "account_id": VENDOR,
        "created_at": make.AT,
        **more,
    }
    return Webhook.objects.create(id=f"WH-1-2-{n}", **fields)


# -- contents and access


def test_list_counts_own_webhooks_and_open_objects(vendor: Client) -> None:
    webhook(1)
    webhook(2, account_id=PROVIDER)
    context = vendor.get("/products/").context
    suite, open_objects = next(line for line in context["rows"] if line[0].pk == SUITE)
    expected = sum(
        queue.model._default_manager.filter(product=SUITE, vendor=VENDOR)
        .exclude(status__in=queue.final)
        .count()
        for queue in types.base.registered()
        if queue.statuses
    )
    assert (suite.webhook_count, open_objects) == (1, expected) and expected > 0


def test_own_webhooks_are_linked(vendor: Client, distributor: Client) -> None:
    row = webhook(1)
    shown = html.get(vendor, f"/products/{SUITE}/")
    assert shown.by_role("link", "Mine 1")["href"] == f"/webhooks/{row.pk}/"
    assert "Subscription — Fulfillment Requests — Queue Changes" in shown
    assert row.pk not in html.get(distributor, f"/products/{SUITE}/")


def test_templates_are_rendered_without_scripts_and_images(vendor: Client) -> None:
    Template.objects.filter(product=BACKUP, type="fulfillment").update(
        body="# Ready\n\n**Now** <script>alert(1)</script> {{ asset.id }} ![x](http://evil/x.png)"
    )
    shown = html.get(vendor, f"/products/{BACKUP}/templates/").one("main")
    letter = shown.all("article")[0]
    assert "Ready" in [heading.text for heading in letter.all("h2")]
    assert "Now" in [strong.text for strong in letter.all("strong")]
    assert not shown.all("script") and not shown.all("img")
    assert "{{ asset.id }}" in shown


def test_empty_table_header_is_left_out(vendor: Client) -> None:
    path = f"/products/{BACKUP}/templates/"
    shown = html.get(vendor, path)
    assert "Activation id" in shown.rows()[0] and not shown.all("thead")
    rows = Template.objects.filter(product=BACKUP, type="fulfillment")
    rows.update(body="| Name | |\n|---|---|\n| a | b |")
    assert html.get(vendor, path).one("thead").all("th")[0].text == "Name"


def test_number_of_statements_is_constant(vendor: Client) -> None:
    paths = ["/products/", *(f"/products/{SUITE}/{tab}" for tab in TABS)]
    few = counts(vendor, *paths)
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
        webhook(n)
    assert counts(vendor, *paths) == few


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


def test_capabilities_name_the_webhook_types_that_require_them(vendor: Client) -> None:
    shown = html.get(vendor, CAPABILITIES)
    labels = [kind.label for kind in types.registered() if kind.trigger]
    assert [label for label in labels if label not in shown] == []


def sent(client: Client, group: str) -> dict[str, Any]:
    """Return what a browser sends of an unchanged form of a group."""
    context = client.get(CAPABILITIES).context
    form = next(one["form"] for one in context["groups"] if one["slug"] == group)
    values = {name: form[name].value() for name in form.fields}
    return {"group": group, **{n: "on" if v is True else v for n, v in values.items() if v}}


@pytest.mark.parametrize("group", [slug for slug, *_ in labels.GROUPS])
def test_unchanged_form_changes_nothing(group: str, vendor: Client) -> None:
    before = product().capabilities
    assert vendor.post(CAPABILITIES, sent(vendor, group)).status_code == 303
    assert product().capabilities == before


def test_vendor_switches_a_capability_off_and_on(vendor: Client) -> None:
    body = sent(vendor, "purchases")
    del body["cart.validation"]
    before = product().capabilities
    response = vendor.post(CAPABILITIES, body, follow=True)
    assert html.parse(response).messages == "Purchases saved"
    assert product().capabilities == {**before, "cart": {"validation": False}}
    vendor.post(CAPABILITIES, {**body, "cart.validation": "on"})
    assert product().capabilities == before


def test_switching_a_branch_off_removes_it(vendor: Client) -> None:
    body = sent(vendor, "usage")
    del body["ppu.ppu"]
    vendor.post(CAPABILITIES, body)
    assert product().capabilities["ppu"] == {"ppu": False}
    body = {
        "group": "usage",
        "ppu.ppu": "on",
        "ppu.schema": "TR",
        "ppu.late": "on",
        "ppu.required_custom_fields": " region, zone ,",
    }
    vendor.post(CAPABILITIES, body)
    expected = {
        "ppu.schema": "TR",
        "ppu.late": True,
        "ppu.required_custom_fields": ["region", "zone"],
        "ppu.dynamic": False,
    }
    assert {name: product().capability(name) for name in expected} == expected


def test_tiers_keep_their_level(vendor: Client) -> None:
    vendor.post(CAPABILITIES, {**sent(vendor, "tiers"), "tiers.configs.level": "1"})
    assert product().capability("tiers.configs.level") == 1


def test_invalid_choice_is_refused_at_its_field(vendor: Client) -> None:
    before = product().capabilities
    page = refused(vendor, CAPABILITIES, {**sent(vendor, "usage"), "ppu.schema": "XX"})
    assert "XX is not one of" in " ".join(page.errors)
    for group in ("", "nowhere"):
        assert vendor.post(CAPABILITIES, {"group": group}).status_code == 400
    assert product().capabilities == before


def test_distributor_cannot_change_capabilities(distributor: Client) -> None:
    shown = html.get(distributor, CAPABILITIES)
    assert "Only Nimbus Inc can change these." in shown and not shown.all("main input")
    before = product().capabilities
    assert distributor.post(CAPABILITIES, {"group": "purchases"}).status_code == 403
    assert product().capabilities == before


def test_unset_capabilities_are_off(distributor: Client, vendor: Client) -> None:
    Product.objects.filter(pk=SUITE).update(capabilities={})
    states = html.get(distributor, CAPABILITIES).terms()
    assert (states["Pay as you go"], states["Schema of usage files"]) == ("Off", "Not set")
    assert vendor.get(CAPABILITIES).status_code == 200


def test_product_that_was_never_sold_is_deleted(vendor: Client, settings: Any) -> None:
    sold = f"/products/{BACKUP}/"
    assert not html.get(vendor, sold).all(f'form[action="{sold}delete/"]')
    vendor.post(f"{sold}delete/")
    assert html.get(vendor, sold).messages.startswith("Not deleted.")
    row = samples.create_sample("new", None)
    at = f"/products/{row.product_id}/"
    assert html.get(vendor, at).by_role("button", f"Delete {row.product.name}")
    settings.SANDBOX = False
    assert vendor.post(f"{at}delete/").status_code == 404
    settings.SANDBOX = True
    response = vendor.post(f"{at}delete/")
    assert (response.status_code, response["Location"]) == (303, "/products/")
    assert html.get(vendor, "/products/").messages == f"{row.product.name} deleted"
    html.get(vendor, at, 404)
