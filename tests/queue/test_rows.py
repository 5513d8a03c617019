"""Rows have the values that Django reads, in fewer steps."""

from __future__ import annotations

from typing import Any

from requests_queue.catalog.models import Asset, User
from requests_queue.queues.fulfillment.models import Request
from tests.api import Caller


def test_row_has_the_stored_values(seeded: Any) -> None:
    row = Request.objects.select_related("asset").latest("created")
    assert (row._state.adding, row._state.db) == (False, "default")
    assert row.asset == Asset.objects.get(pk=row.asset_id)
    row.note = "Changed."
    row.save()
    assert Request.objects.get(pk=row.pk).note == "Changed."
    assert Request.objects.filter(pk=row.pk).count() == 1


def test_deferred_column_is_fetched(seeded: Any, django_assert_num_queries: Any) -> None:
    row = Request.objects.only("status").earliest("created")
    assert row.get_deferred_fields() >= {"items", "asset_id"}
    with django_assert_num_queries(2):
        assert row.items and row.asset_id


def test_user_keeps_djangos_attributes(seeded: Any) -> None:
    user = User.objects.get(username="vendor")
    user.set_password("a-long-password-of-the-tests")
    user.save()
    assert User.objects.get(pk=user.pk).check_password("a-long-password-of-the-tests")


def test_select_cuts_the_marketplace_of_a_request_by_itself(vendor: Caller) -> None:
    (row,) = vendor.get("/requests?select(-marketplace.name)&limit=1").json
    assert "name" not in row["marketplace"]
    assert row["asset"]["marketplace"]["name"]
