"""Tasks for queue changes: which, once, and in the transaction of the change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from extensions import actions, dispatch, fan_out
from extensions.models import NEW, PROCESSING, Environment, Extension, Task
from tests import make
from tests.api import Caller
from tests.extensions.changes import change
from tests.extensions.runner import PURCHASE
from tests.queue import builders
from tests.queue.platforms import Platform

pytestmark = pytest.mark.django_db


def test_purchase_is_a_task(catalog: make.Catalog, environment: Environment) -> None:
    row = make.order(catalog)
    task = Task.objects.get()
    assert (task.object_id, task.event_type, task.status) == (row.pk, PURCHASE, NEW)
    assert task.installation == environment.installations.get()
    assert task.shown_id == f"TQ-{environment.pk.removeprefix('ENV-')}-{task.pk:06d}"


def test_task_is_rolled_back_with_itschange(
    catalog: make.Catalog, environment: Environment
) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make.order(catalog)
        assert Task.objects.exists()
        raise ZeroDivisionError
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ({}, 1),
        ({"status_to": "approved"}, 0),
        ({"type": "cancel"}, 0),
        ({"object_class": "tier_config_request"}, 0),
        ({"product_id": "PRD-999-999-999"}, 0),
        ({"product_id": None}, 0),
        ({"account_ids": ("VA-999-999",)}, 0),
    ],
)
def test_only_subscribed_changes_of_the_product_are_tasks(
    catalog: make.Catalog, environment: Environment, more: Any, count: int
) -> None:
    fan_out.record([change(catalog, **more)])
    assert Task.objects.count() == count


def test_event_type_without_statuses_means_all(
    catalog: make.Catalog, environment: Environment
) -> None:
    Environment.objects.update(subscriptions={PURCHASE: []})
    fan_out.record([change(catalog, status_to="approved")])
    assert Task.objects.count() == 1


def test_extension_without_products_is_for_all_of_its_account(
    catalog: make.Catalog, environment: Environment
) -> None:
    environment.extension.products.clear()
    fan_out.record([change(catalog, product_id="PRD-999-999-999")])
    fan_out.record([change(catalog, account_ids=["VA-999-999"])])
    assert Task.objects.count() == 1


def test_changes_need_one_query_without_extensions(
    catalog: make.Catalog, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        fan_out.record([change(catalog)])


def test_extension_of_several_accounts_gets_what_those_that_installed_it_see(
    catalog: make.Catalog, environment: Environment
) -> None:
    elsewhere = make.catalog("2")
    Extension.objects.update(type="multiaccount")
    theirs = actions.install(environment, elsewhere.provider)
    both = [catalog.vendor.pk, elsewhere.provider.pk]
    for accounts in ([catalog.provider.pk], both[:1], both):
        fan_out.record([change(catalog, account_ids=accounts, object_id=f"PR-{len(accounts)}")])
    found = Task.objects.order_by("pk").values_list("installation", "object_id")
    own = environment.installations.get(account=catalog.vendor).pk
    assert sorted(found) == sorted([(own, "PR-1"), (own, "PR-2"), (theirs.pk, "PR-2")])


def test_product_is_a_task_when_it_is_created_published_and_taken_off_sale(
    catalog: make.Catalog, environment: Environment, who: Caller
) -> None:
    Environment.objects.update(subscriptions={"product_changed": []})
    environment.extension.products.clear()
    hub = actions.create(catalog.provider, "Hub", type="hub")
    hub.subscriptions = {"product_changed": []}
    hub.save()
    draft = who.post("/products", {"name": "New"}).json["id"]
    # Only for accounts that see it.
    assert [(each.environment, each.object_id) for each in Task.objects.all()] == [
        (environment, draft)
    ]
    Environment.objects.update(subscriptions={"product_changed": ["published", "endofsale"]})
    Task.objects.all().delete()
    path = f"/products/{catalog.product.pk}"
    for step in ("versions", "endsale", "resumesale"):
        assert who.post(f"{path}/{step}", {}).status in (200, 201)
        found = Task.objects.filter(object_id=catalog.product.pk, event_type="product_changed")
        assert {each.environment for each in found} == {environment, hub}, step
        found.delete()
    assert who.post("/products", {"name": "Newer"}).status == 201
    assert not Task.objects.exists()


def test_chunks_of_a_usage_file_are_tasks_when_they_are_created_and_closed() -> None:
    platform = Platform()
    builders.set_up(platform)
    environment = actions.create(platform.catalog.vendor, "Test")
    subscribed = {"part_usage_file_request_processing": ["ready", "closed"]}
    Environment.objects.update(subscriptions=subscribed)
    file = builders.usage_file(platform, "accepted")
    [chunk] = platform.by["V"].get(f"/usage/chunks?usagefile.id={file}").json
    task = environment.tasks.get()
    assert task.object_id == chunk["id"] and chunk["status"] == "ready"
    task.delete()
    # A record of two leaves it open.
    records = platform.by["D"].get(f"/usage/records?usagefile.id={file}").json
    for left, record in enumerate(records, 1 - len(records)):
        platform.post("D", f"/usage/records/{record['id']}/close", {})
        assert environment.tasks.exists() == (left == 0)
    assert environment.tasks.get().object_id == chunk["id"]


def test_object_has_one_task_until_that_begins(
    catalog: make.Catalog, environment: Environment
) -> None:
    for _ in range(2):
        fan_out.record([change(catalog), change(catalog, object_id="PR-2")])
    assert Task.objects.count() == 2
    instance = actions.instance(environment, "one", "background")
    dispatch.claim(instance, 1)
    later = make.AT + timedelta(seconds=1)
    fan_out.record([change(catalog, at=later), change(catalog, object_id="PR-2", at=later)])
    rows = Task.objects.order_by("pk").values_list("object_id", "status", "created_at")
    assert list(rows) == [
        ("PR-1", PROCESSING, make.AT),
        ("PR-2", NEW, make.AT),
        ("PR-1", NEW, later),
    ]
