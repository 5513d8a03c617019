"""The demo data: complete, consistent with the queues' rules, and added only once."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.core.management import call_command

from requests_queue import clock, ids, seed
from requests_queue.catalog import parameter_values
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import (
    Asset,
    Connection,
    Item,
    Parameter,
    Product,
    Template,
    TierAccount,
    User,
)
from requests_queue.catalog.tiers import complete_contact_info
from requests_queue.queues.fulfillment import creation, effects, first_order, request_types, rules
from requests_queue.queues.fulfillment.models import OPEN, Request
from requests_queue.queues.tier_config.models import TierConfig
from requests_queue.seed.customers import CASCADE
from requests_queue.seed.products import BACKUP, METER, SUITE
from tests.make import CONTACT

pytestmark = pytest.mark.django_db

OURS = (
    "catalog", "fulfillment", "webhooks", "tier_account", "billing", "tier_config", "listing",
    "usage_file", "helpdesk", "conversations",
)  # fmt: skip
# Their keys are numbers, which new rows don't have again.
NUMBERED = ("catalog.Parameter:", "catalog.ProductVersion:", "catalog.VersionPart:")
PARAMETER_TYPES = {
    "text", "dropdown", "password", "email", "checkbox", "subdomain", "domain", "address",
    "phone", "object", "url", "choice", "heading", "content",
}  # fmt: skip


def everything() -> dict[str, str]:
    models = [m for label in OURS for m in apps.get_app_config(label).get_models()]
    return {
        f"{model._meta.label}:{row.pk}": serializers.serialize("json", [row])
        for model in models
        for row in model._default_manager.all()
    }


def purchase(product: str, **asset: Any) -> dict[str, Any]:
    """Return the body of a purchase with only what a distributor sends."""
    return {
        "type": "purchase",
        "asset": {
            "connection": {"id": Connection.objects.get(product=product).pk},
            "items": [{"id": Item.objects.filter(product=product).first().pk, "quantity": 3}],
            "tiers": {
                "customer": {"name": "Harbour Cafe", "contact_info": CONTACT},
                "tier1": {"name": "Portland Resellers", "contact_info": CONTACT},
            },
            **asset,
        },
    }


def distributor() -> Actor:
    user = User.objects.get(username="distributor")
    return Actor(user, user.account)


def test_second_seed_changes_no_row(seeded: seed.Summary) -> None:
    before = everything()
    assert seed.run(lambda line: None).total == 0
    assert everything() == before
    assert len(before) == seeded.total


def test_changes_of_a_user_are_kept(seeded: seed.Summary) -> None:
    Product.objects.filter(pk=BACKUP).update(name="Mine", capabilities={})
    Parameter.objects.filter(product=BACKUP, name="region").update(title="Mine")
    Request.objects.filter(status="pending").update(note="Mine")
    before = everything()
    seed.run(lambda line: None)
    assert everything() == before


def _public(row: str) -> str:
    """Return a row without the random secret of its actions."""
    return re.sub(r'"stored_action_secret": "[^"]*"', "", row)


def test_rows_that_a_user_deleted_are_restored(seeded: seed.Summary) -> None:
    before = everything()
    Asset.objects.filter(product=SUITE).delete()
    Product.objects.filter(pk=BACKUP).delete()
    assert len(everything()) < len(before)
    seed.run(lambda line: None)
    after = everything()
    kept = {key for key in before if not key.startswith(NUMBERED)}
    assert {key for key in after if not key.startswith(NUMBERED)} == kept
    assert len(after) == len(before)
    for key, row in after.items():
        # Usage records are kept when their subscription is deleted.
        if not key.startswith((*NUMBERED, "fulfillment.Request", "usage_file.")):
            assert _public(row) == _public(before[key])


def test_rows_of_a_user_are_not_replaced(seeded: seed.Summary) -> None:
    taken = Asset.objects.get(pk="AS-5810-2277-4093")
    taken.delete()
    taken.pk = "AS-0000-0000-0001"
    taken.save(force_insert=True)
    Parameter.objects.filter(product=METER, name="workspace_id").delete()
    Asset.objects.filter(product=METER).delete()
    added = seed.run(lambda line: None).added
    assert not Asset.objects.filter(pk="AS-5810-2277-4093").exists()
    assert (added["parameters"], added["subscriptions"]) == (1, 2)


def test_product_without_its_items_gets_no_orders(
    seeded: seed.Summary,
) -> None:
    Asset.objects.filter(product=METER).delete()
    # A parameter that cannot be ordered has the name, so the seed does not restore its own.
    Parameter.objects.filter(product=METER, name="workspace_id").update(scope="product")
    assert seed.run(lambda line: None).added["subscriptions"] == 0
    assert not Asset.objects.filter(product=METER).exists()


def test_existing_administrator_of_the_same_name_is_kept() -> None:
    User.objects.create(username="admin", uid="UR-999-999-999", is_superuser=True)
    assert seed.run(lambda line: None).total
    assert User.objects.get(username="admin").uid == "UR-999-999-999"


def test_every_status_and_type_exists(seeded: seed.Summary) -> None:
    requests = Request.objects.all()
    assert {r.status for r in requests} == set(rules.QUEUE.status_names)
    assert {r.type for r in requests} == set(request_types.TYPES)
    assert {a.status for a in Asset.objects.all()} == {
        "draft",
        "processing",
        "active",
        "suspended",
        "terminating",
        "terminated",
    }
    assert Asset.objects.count() == 12


def test_subscription_has_at_most_one_open_request(seeded: seed.Summary) -> None:
    counts = Counter(Request.objects.filter(status__in=OPEN).values_list("asset", flat=True))
    assert counts and set(counts.values()) == {1}


def test_parameters_have_the_queues_form(seeded: seed.Summary) -> None:
    for request in Request.objects.select_related("product"):
        blank = {p["id"]: p for p in parameter_values.blank(request.product)}
        assert [p["id"] for p in request.params] == list(blank)
        for param in request.params:
            assert param.keys() == blank[param["id"]].keys()
        if request.status == "approved":
            assert parameter_values.missing(request.params, "ordering") == []
            assert parameter_values.missing(request.params, "fulfillment") == []


def test_items_belong_to_the_product_and_quantities_are_strings(seeded: seed.Summary) -> None:
    for request in Request.objects.all():
        items = {i.pk: i for i in Item.objects.filter(product=request.product_id)}
        assert request.items
        for row in request.items:
            assert items[row["global_id"]].local_id == row["id"]
            assert isinstance(row["quantity"], str) and isinstance(row["old_quantity"], str)
            assert (row["quantity"] == "unlimited") == (row["item_type"] == "PPU")


def test_subscriptions_match_their_requests(seeded: seed.Summary) -> None:
    for asset in Asset.objects.all():
        history = list(asset.requests.order_by("pk"))
        assert [r.pk for r in history] == [
            ids.child(asset.pk, "PR-", n) for n in range(1, len(history) + 1)
        ]
        assert all(a.updated <= b.created for a, b in pairwise(history))
        assert history[0].type == "purchase"
        approved = None
        for request in history:
            assert request.previous_approved_request == approved
            approved = request if request.status == "approved" else approved
        last = history[-1]
        initial, after, back = effects.ASSET_STATUS[last.type]
        phase = {"approved": after, "failed": back, "revoked": back}.get(last.status, initial)
        expected = "draft" if last.status == "draft" else phase
        # Changes keep the status, and adjustments require an active subscription.
        assert asset.status == (expected or "active")


def test_types_match_the_products_capabilities(seeded: seed.Summary) -> None:
    for request in Request.objects.select_related("product"):
        expected = [request_types.TYPE_CAPABILITY.get(request.type)]
        if request.status == "draft":
            expected.append(request_types.DRAFT_CAPABILITY[request.type])
        if request.planned_date:
            expected.append(f"subscription.{request.type}.scheduling")
        if request.type in ("suspend", "resume") and request.status != "failed":
            expected.append("subscription.hold")
        assert all(request.product.capability(w) for w in expected if w), request.pk


def test_dates_are_relative_to_the_first_seed(seeded: seed.Summary) -> None:
    now = clock.now()
    for request in Request.objects.all():
        assert request.created <= request.updated <= now
        assert request.created > now - timedelta(days=60)
        assert (request.effective_date is not None) == (request.status == "approved")
        assert request.created.microsecond == request.updated.microsecond == 0
        if request.status == "scheduled":
            assert request.planned_date and request.planned_date > now + timedelta(days=3)
        # The platform deletes stale drafts.
        if request.status == "draft":
            assert request.updated > now - timedelta(days=5)


def test_purchase_of_the_plain_product_is_created_pending(seeded: seed.Summary) -> None:
    request = creation.create(purchase(BACKUP), distributor())
    assert (request.status, request.asset.status) == ("pending", "processing")
    assert parameter_values.missing(request.params, "fulfillment") == ["activation_id"]
    assert not any(_switches(Product.objects.get(pk=BACKUP).capabilities))


def test_first_order_is_of_the_plain_product(seeded: seed.Summary) -> None:
    body = first_order.body()
    assert body is not None
    request = creation.create(body, distributor())
    assert (request.product_id, request.status) == (BACKUP, "pending")


def test_purchase_of_the_suite_is_inquiring_without_required_values(
    seeded: seed.Summary,
) -> None:
    # The reseller is configured: others would be set up first.
    tiers = {**purchase(SUITE)["asset"]["tiers"], "tier1": {"id": CASCADE}}
    request = creation.create(purchase(SUITE, tiers=tiers), distributor())
    assert request.status == "inquiring"
    assert parameter_values.missing(request.params, "ordering") == ["admin_email"]
    params = [{"id": "admin_email", "value": "security@harbour.example.com"}]
    order = creation.create(purchase(SUITE, tiers=tiers, params=params), distributor())
    assert order.status == "pending"
    order = creation.create(purchase(SUITE, params=params), distributor())
    assert (order.status, order.asset.status) == ("tiers_setup", "processing")


def test_purchase_of_the_middle_product_is_created_pending(seeded: seed.Summary) -> None:
    assert creation.create(purchase(METER), distributor()).status == "pending"


def test_suite_has_every_type_of_parameter_and_template(seeded: seed.Summary) -> None:
    rows = Parameter.objects.filter(product=SUITE)
    assert {r.type for r in rows} == PARAMETER_TYPES
    assert {r.phase for r in rows} == {"ordering", "fulfillment", "configuration"}
    assert {r.scope for r in rows} == {
        "asset",
        "tier1",
        "tier2",
        "product",
        "item",
        "marketplace",
        "item_marketplace",
    }
    texts = Template.objects.filter(product=SUITE).values_list("scope", "type")
    assert set(texts) == {
        (scope, kind)
        for scope in ("asset", "tier1", "tier2")
        for kind in ("fulfillment", "inquire", "pending")
    }
    assert {"Monthly", "Yearly", "OneTime"} <= {
        i.period for i in Item.objects.filter(product=SUITE, type="Reservation")
    }
    assert Item.objects.filter(product=SUITE, type="PPU").count() == 1


def test_capabilities_have_the_same_keys_on_every_product(seeded: seed.Summary) -> None:
    suite, *others = (Product.objects.get(pk=pk).capabilities for pk in (SUITE, BACKUP, METER))
    assert all(_flat(other).keys() == _flat(suite).keys() for other in others)
    assert all(_switches(suite))


def test_demo_customers_can_be_ordered_for(seeded: seed.Summary) -> None:
    for tier in TierAccount.objects.all():
        assert complete_contact_info(tier.contact_info, "contact_info") == tier.contact_info


def test_users_sign_in_by_link_only_and_no_webhook_exists(seeded: seed.Summary) -> None:
    assert {u.username for u in User.objects.all()} == {"vendor", "distributor", "admin"}
    assert all(u.is_staff and not u.has_usable_password() for u in User.objects.all())
    assert [u.username for u in User.objects.filter(is_superuser=True)] == ["admin"]
    assert not [k for k in everything() if k.startswith(("webhooks.", "catalog.ApiToken"))]


def test_rows_are_inserted_together(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(300):
        seed.run(lambda line: None)


def test_configuration_of_a_user_in_the_place_of_a_parent_is_kept(seeded: seed.Summary) -> None:
    child = TierConfig.objects.exclude(parent=None).first()
    assert child is not None
    parent, pk = child.parent, child.parent_id
    TierConfig.objects.filter(pk__in=[pk, child.pk]).delete()
    parent.pk = "TC-000-000-001"
    parent.save(force_insert=True)
    seed.run(lambda line: None)
    # Without its own parent, the child isn't added either.
    assert not TierConfig.objects.filter(pk__in=[pk, child.pk]).exists()


def test_is_empty_until_there_is_an_account() -> None:
    assert seed.is_empty()
    seed.run(lambda line: None)
    assert not seed.is_empty()


def test_command_prints_the_added_rows() -> None:
    first, second, quiet = StringIO(), StringIO(), StringIO()
    call_command("seed", stdout=first)
    call_command("seed", stdout=second)
    call_command("seed", "--quiet", stdout=quiet)
    assert "subscriptions  12" in first.getvalue()
    assert "rows added" in first.getvalue()
    assert "Nothing was added" in second.getvalue()
    assert quiet.getvalue() == ""


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of a tree by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _switches(tree: dict[str, Any]) -> list[bool]:
    """Return the switches of a tree of capabilities; `offline` counts as one."""
    return [
        value not in (False, "no")
        for name, value in _flat(tree).items()
        if isinstance(value, bool) or name.endswith("offline")
    ]
