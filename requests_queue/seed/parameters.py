"""Parameters of the products; the suite has every type, phase and scope.

The suite also has configured values of every scope, and actions of its subscriptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from requests_queue.catalog.models import Configuration, Item, Parameter, ProductAction
from requests_queue.seed.accounts import MARKETPLACE
from requests_queue.seed.products import BACKUP, METER, SUITE
from requests_queue.seed.rows import add_missing

Row = Mapping[str, Any]


def _row(
    name: str,
    title: str,
    kind: str,
    phase: str,
    description: str,
    scope: str = "asset",
    hint: str = "",
    placeholder: str = "",
    default: Any = None,
    **constraints: Any,
) -> Row:
    return {
        "name": name,
        "title": title,
        "type": kind,
        "phase": phase,
        "scope": scope,
        "description": description,
        "hint": hint,
        "placeholder": placeholder,
        "default": default,
        "constraints": constraints,
    }


def _choices(**labels: str) -> list[dict[str, str]]:
    return [{"value": value, "label": label} for value, label in labels.items()]


_REGIONS = _choices(us="United States", eu="European Union", uk="United Kingdom")

_BACKUP = (
    _row(
        "region",
        "Data region",
        "dropdown",
        "ordering",
        "Where the copies are kept.",
        hint="It can't be changed later.",
        choices=_REGIONS,
    ),
    _row(
        "contact_email",
        "Contact",
        "email",
        "ordering",
        "Who gets the nightly report.",
        placeholder="it@customer.example.com",
    ),
    # Required: a handler must set it before approval.
    _row(
        "activation_id",
        "Activation id",
        "text",
        "fulfillment",
        "The id of the subscription at Nimbus.",
        required=True,
        unique=True,
        max_length=64,
    ),
    _row("console_url", "Console", "url", "fulfillment", "Where the customer signs in."),
)

_METER = (
    _row(
        "cost_center",
        "Cost center",
        "text",
        "ordering",
        "Shown on each usage report.",
        placeholder="CC-1020",
        max_length=32,
    ),
    _row("report_email", "Report address", "email", "ordering", "Who gets the usage report."),
    _row(
        "retention",
        "Retention",
        "choice",
        "ordering",
        "How long raw counts are kept.",
        default="90",
        choices=_choices(**{"30": "30 days", "90": "90 days", "365": "A year"}),
    ),
    _row(
        "workspace_id",
        "Workspace id",
        "text",
        "fulfillment",
        "The workspace at Nimbus Meter.",
        required=True,
        unique=True,
        reconciliation=True,
    ),
    _row(
        "ingest_key",
        "Ingest key",
        "password",
        "fulfillment",
        "Signs what is sent to be counted.",
        shared="none",
    ),
)

_SUITE_ORDER = (
    _row("organization", "Your organization", "heading", "ordering", ""),
    _row(
        "intro",
        "Before you order",
        "content",
        "ordering",
        "",
        display_content="We create the console for the domain below and invite its "
        "administrator by email. **Both must exist before the order.**",
    ),
    # Required and without default: a purchase without it is created as inquiring.
    _row(
        "admin_email",
        "Administrator",
        "email",
        "ordering",
        "Who is invited as the first administrator.",
        hint="A mailbox that is read.",
        placeholder="admin@customer.example.com",
        required=True,
    ),
    _row(
        "company_alias",
        "Short name",
        "text",
        "ordering",
        "How alerts name the customer.",
        min_length=2,
        max_length=40,
    ),
    _row(
        "customer_domain",
        "Domain",
        "domain",
        "ordering",
        "The domain whose mail is filtered.",
        placeholder="customer.example.com",
    ),
    _row(
        "console_subdomain",
        "Console name",
        "subdomain",
        "ordering",
        "The first part of the console's address.",
        hint="Letters, digits and dashes.",
        unique=True,
        min_length=3,
        max_length=30,
    ),
    _row(
        "data_region",
        "Data region",
        "dropdown",
        "ordering",
        "Where events are stored.",
        default="eu",
        choices=_REGIONS,
    ),
    _row(
        "edition",
        "Edition",
        "choice",
        "ordering",
        "What the console can do.",
        default="standard",
        choices=_choices(standard="Standard", advanced="Advanced"),
    ),
    _row(
        "siem_url",
        "SIEM collector",
        "url",
        "ordering",
        "Where alerts are forwarded to.",
        placeholder="https://siem.customer.example.com/collect",
        dependency={
            "parameter": {"id": "edition"},
            "values": ["advanced"],
            "required": False,
            "hidden": False,
            "readonly": False,
        },
    ),
    _row(
        "options",
        "Options",
        "checkbox",
        "ordering",
        "Additional options.",
        choices=_choices(weekly_report="Weekly report", training="Awareness training"),
    ),
    _row("site_address", "Site", "address", "ordering", "Where the onboarding takes place."),
    _row(
        "security_phone",
        "Emergency phone",
        "phone",
        "ordering",
        "Whom the security desk calls at night.",
    ),
    _row(
        "scan_policy",
        "Scan policy",
        "object",
        "ordering",
        "Exclusions, as JSON.",
        hint='{"exclude": ["/var/cache"]}',
    ),
)

_SUITE_FULFILL = (
    _row(
        "tenant_id",
        "Tenant id",
        "text",
        "fulfillment",
        "The tenant at Nimbus.",
        required=True,
        unique=True,
        reconciliation=True,
    ),
    _row("console_address", "Console", "url", "fulfillment", "Where the administrator signs in."),
    _row(
        "first_password",
        "First password",
        "password",
        "fulfillment",
        "To be changed at the first sign-in.",
        shared="view",
    ),
    _row(
        "internal_note",
        "Provisioning log",
        "object",
        "fulfillment",
        "What the provisioning did.",
        hidden=True,
    ),
    _row(
        "partner_agreement",
        "Partner agreement",
        "text",
        "ordering",
        "The number of the reseller's agreement with Nimbus.",
        scope="tier1",
        required=True,
    ),
    _row(
        "partner_tenant",
        "Partner tenant",
        "text",
        "fulfillment",
        "The reseller's tenant at Nimbus.",
        scope="tier1",
        required=True,
    ),
    _row(
        "master_reference",
        "Reference",
        "text",
        "ordering",
        "The distributor's own name for this partner.",
        scope="tier2",
    ),
    _row(
        "master_tenant",
        "Master tenant",
        "text",
        "fulfillment",
        "The tenant above the resellers' tenants.",
        scope="tier2",
    ),
)

_SUITE_CONFIGURE = (
    _row(
        "api_endpoint",
        "API endpoint",
        "url",
        "configuration",
        "Where provisioning calls Nimbus.",
        scope="product",
    ),
    _row(
        "trial_days",
        "Trial",
        "dropdown",
        "configuration",
        "Length of trials of this item.",
        scope="item",
        choices=_choices(**{"0": "None", "14": "14 days", "30": "30 days"}),
    ),
    _row(
        "support_phone",
        "Local support",
        "phone",
        "configuration",
        "Shown to customers of this marketplace.",
        scope="marketplace",
    ),
    _row(
        "promotion_code",
        "Promotion",
        "text",
        "configuration",
        "Applies to this item on this marketplace.",
        scope="item_marketplace",
    ),
)

_BY_PRODUCT = {
    BACKUP: _BACKUP,
    SUITE: (*_SUITE_ORDER, *_SUITE_FULFILL, *_SUITE_CONFIGURE),
    METER: _METER,
}


def add_parameters(at: datetime) -> dict[str, int]:
    stamps = {"created": at - timedelta(days=359), "updated": at - timedelta(days=45)}
    rows = [
        Parameter(product_id=product, number=number, position=number * 100, **stamps, **row)
        for product, table in _BY_PRODUCT.items()
        for number, row in enumerate(table, 1)
    ]
    return {"parameters": add_missing(rows, "product_id", "name")}


# Parameter, value, and the objects that the value is for besides the product.
_VALUES: tuple[tuple[str, dict[str, Any], dict[str, str]], ...] = (
    ("api_endpoint", {"value": "https://api.nimbus.example.com/v2"}, {}),
    ("trial_days", {"value": "14"}, {"item_id": f"{SUITE}-0001"}),
    (
        "support_phone",
        {
            "structured_value": {
                "country_code": "+1",
                "area_code": "555",
                "phone_number": "0142",
                "extension": "",
            }
        },
        {"marketplace_id": MARKETPLACE},
    ),
    (
        "promotion_code",
        {"value": "SPRING"},
        {"item_id": f"{SUITE}-0002", "marketplace_id": MARKETPLACE},
    ),
)

_ACTIONS = (
    ("ACT-362-917-440-001", "sign_in", "Sign in", "asset", "Opens the console."),
    (
        "ACT-362-917-440-002",
        "partner_console",
        "Partner console",
        "tier1",
        "Opens the reseller's console.",
    ),
)


def add_configurations(at: datetime) -> dict[str, int]:
    """Add the configured values and the actions."""
    stamps = {"created": at - timedelta(days=355), "updated": at - timedelta(days=45)}
    parameters = dict(Parameter.objects.filter(product=SUITE).values_list("name", "pk"))
    # A value without an item, or of an existing one: the user may have deleted the item.
    items = {None, *Item.objects.filter(product=SUITE).values_list("pk", flat=True)}
    values = [
        Configuration(product_id=SUITE, parameter_id=parameters[name], **value, **about, **stamps)
        for name, value, about in _VALUES
        if name in parameters and about.get("item_id") in items
    ]
    actions = [
        ProductAction(
            id=pk,
            product_id=SUITE,
            action=action,
            name=name,
            title=name,
            scope=scope,
            description=description,
            **stamps,
        )
        for pk, action, name, scope, description in _ACTIONS
    ]
    return {
        "configurations": add_missing(values, "parameter_id", "item_id", "marketplace_id"),
        "actions": add_missing(actions),
    }
