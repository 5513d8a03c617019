"""What a snapshot's file contains, by table and column: listed rows, and no secrets.

A test fails for a model that is listed nowhere, and for an encrypted column without a rule.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.db import models
from django.db.migrations.loader import MigrationLoader

from requests_queue.catalog.models import User
from requests_queue.catalog.models.products import new_secret, new_stored_secret
from requests_queue.queues.fulfillment.models import form_code

# In the order of the file. Rows of an account's users are referred to by the users' ids (`UR-…`).
TABLES = (
    "catalog.Account",
    "catalog.Hub",
    "catalog.Marketplace",
    "catalog.Hub_marketplaces",
    "catalog.Agreement",
    "catalog.Contract",
    "catalog.Product",
    "catalog.Item",
    "catalog.Parameter",
    "catalog.Template",
    "catalog.ProductMedia",
    "catalog.ProductAction",
    "catalog.Configuration",
    "catalog.ProductVersion",
    "catalog.VersionPart",
    "catalog.Listing",
    "catalog.Connection",
    "catalog.TierAccount",
    "catalog.TierAccountVersion",
    "catalog.Asset",
    "fulfillment.Request",
    "tier_config.TierConfig",
    "tier_config.TierConfigRequest",
    "tier_account.TierAccountRequest",
    "billing.SubscriptionBilling",
    "billing.BillingRequest",
    "listing.ListingRequest",
    "usage_file.UsageFile",
    "usage_file.UsageChunk",
    "usage_file.UsageRecord",
    "usage_file.StoredFile",
    "usage_file.Reconciliation",
    "helpdesk.Case",
    "helpdesk.Case_issuer_recipients",
    "helpdesk.Case_receiver_recipients",
    "helpdesk.Attachment",
    "conversations.Conversation",
    "conversations.Conversation_accounts",
    "conversations.Message",
    "webhooks.Webhook",
    "webhooks.Delivery",
    "webhooks.Event",
    "webhooks.Attempt",
    "webhooks.Resend",
    "webhooks.ClearedBackoff",
    "portal.BulkResend",
    "portal.InquiryCheck",
    "sandbox.ApiCall",
    "sandbox.ApiCallObject",
)
# Tables of a snapshot that a file leaves out, and why. An imported one has those of the sandbox.
LEFT_OUT = {
    "catalog.User": "people and service users belong to a sandbox, with their passwords",
    "catalog.User_groups": "rights of users",
    "catalog.User_user_permissions": "rights of users",
    "auth.Group": "rights of users",
    "auth.Group_permissions": "rights of users",
    "admin.LogEntry": "what users did in the admin",
}

# A file has null, and an import makes a new secret.
NEW_SECRETS: dict[tuple[str, str], Callable[[], str]] = {
    ("webhooks.Webhook", "jwt_secret"): new_secret,
    ("catalog.Product", "stored_action_secret"): new_stored_secret,
    ("fulfillment.Request", "form_code"): form_code,
    ("tier_config.TierConfigRequest", "form_code"): form_code,
}
# Headers that are sent: a file has null for the values of those that pages mask.
HEADERS = (("webhooks.Webhook", "headers"), ("webhooks.Resend", "headers"))
# Headers that were sent: a file has what pages show.
MASKED_HEADERS = (("webhooks.Attempt", "request_headers"),)
# Tables of requests and responses, in which the secrets of webhooks are replaced once more.
RECORDED = ("webhooks.Attempt", "webhooks.Resend", "sandbox.ApiCall")

Columns = list["models.Field[object, object]"]


def columns(model: type[models.Model]) -> Columns:
    """Return the columns of a table that a file has: all but those that the database computes."""
    return [each for each in model._meta.local_concrete_fields if not each.generated]


def is_user(field: models.Field[object, object]) -> bool:
    """Return whether a column refers to a user, also in models of migrations."""
    related = field.related_model
    return related is not None and related._meta.label == User._meta.label


@cache
def migrations() -> dict[str, list[str]]:
    """Return the newest migrations of each app with a listed table, which a file is written at."""
    apps = {label.partition(".")[0] for label in TABLES}
    leaves = MigrationLoader(None).graph.leaf_nodes()
    found: dict[str, list[str]] = {}
    for app, name in leaves:
        if app in apps:
            found.setdefault(app, []).append(name)
    return found
