"""The suite's configured values of every scope, and the actions of its subscriptions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from requests_queue.catalog.models import Configuration, Item, Parameter, ProductAction
from requests_queue.seed.accounts import MARKETPLACE
from requests_queue.seed.products import SUITE
from requests_queue.seed.rows import add_missing

# Parameter, value, and the objects that the value is for besides the product.
_VALUES: tuple[tuple[str, dict[str, Any], dict[str, str]], ...] = (
    ("api_endpoint", {"value": "https://api.nimbus.example.com/v2"}, {}),
    ("trial_days", {"value": "14"}, {"item_id": f"{SUITE}-0001"}),
    (
        "support_phone",
        {"structured_value": {"country_code": "+1", "area_code": "555", "phone_number": "0142",
                              "extension": ""}},
        {"marketplace_id": MARKETPLACE},
    ),
    ("promotion_code", {"value": "SPRING"},
     {"item_id": f"{SUITE}-0002", "marketplace_id": MARKETPLACE}),
)  # fmt: skip

_ACTIONS = (
    ("ACT-362-917-440-001", "sign_in", "Sign in", "asset", "Opens the console."),
    ("ACT-362-917-440-002", "partner_console", "Partner console", "tier1",
     "Opens the reseller's console."),
)  # fmt: skip


def add_configurations(at: datetime) -> dict[str, int]:
    """Add the configured values and the actions."""
    stamps = {"created": at - timedelta(days=355), "updated": at - timedelta(days=45)}
    parameters = dict(Parameter.objects.filter(product=SUITE).values_list("name", "pk"))
    # A value without an item, or of an existing one: the user may have deleted the item.
    items = {None, *Item.objects.filter(product=SUITE).values_list("pk", flat=True)}
    values = [
        Configuration(
            product_id=SUITE, parameter_id=parameters[name], **value, **about, **stamps
        )
        for name, value, about in _VALUES
        if name in parameters and about.get("item_id") in items
    ]  # fmt: skip
    actions = [
        ProductAction(
            id=pk, product_id=SUITE, action=action, name=name, title=name, scope=scope,
            description=description, **stamps,
        )
        for pk, action, name, scope, description in _ACTIONS
    ]  # fmt: skip
    return {
        "configurations": add_missing(values, "parameter_id", "item_id", "marketplace_id"),
        "actions": add_missing(actions),
    }
