"""What a snapshot's file contains, by table and column: listed rows, and no secrets.

A file has null for the secrets that an import makes anew, and a mask for others. A test fails for a
model that is listed nowhere, and for an encrypted column without a rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.db import models
from django.db.migrations.loader import MigrationLoader

from requests_queue.catalog.models import User
from requests_queue.catalog.models.products import new_secret, new_stored_secret
from requests_queue.queues.fulfillment.models import form_code
from requests_queue.redaction import MASK, Redaction
from sandbox.timeline.call_storage import mask_password, mask_values, without_passwords
from sandbox.world import tables
from webhooks.http.headers import HARMLESS, masked

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
    "sandbox.Reading",
)
# Tables of a snapshot that a file leaves out, and why. An imported one has those of the sandbox.
LEFT_OUT = {
    "catalog.User": "people and service users belong to a sandbox, with their passwords",
    "catalog.User_groups": "rights of users",
    "catalog.User_user_permissions": "rights of users",
    "auth.Group": "rights of users",
    "auth.Group_permissions": "rights of users",
    "admin.LogEntry": "what users did in the admin",
    **{
        f"extensions.{name}": "extensions belong to a sandbox: their runners connect to it"
        for name in (
            "Extension",
            "Extension_products",
            "Environment",
            "Variable",
            "Installation",
            "Schedule",
            "Instance",
            "Task",
            "Run",
        )
    },
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

Values = dict[str, Any]
# Secrets in texts of any kind: of API keys and tokens, and in URLs.
_FORMS = Redaction()
# In the address of an inquiring form, also in JSON and within another URL.
_CODE = re.compile(r"(code(?:=|%3D|\\u003d))[0-9a-f]{32}", re.IGNORECASE)


def listed_models() -> list[type[models.Model]]:
    """Return the models of the tables, in the order of the file."""
    return [apps.get_model(label) for label in TABLES]


def is_user(field: models.Field[object, object]) -> bool:
    """Return whether a column refers to a user, also in models of migrations."""
    related = field.related_model
    return related is not None and related._meta.label == User._meta.label


@cache
def migrations() -> dict[str, list[str]]:
    """Return the newest migrations of each app with a listed table, which a file is written at."""
    listed_apps = {label.partition(".")[0] for label in TABLES}
    newest: dict[str, list[str]] = {}
    for app, name in MigrationLoader(None).graph.leaf_nodes():
        if app in listed_apps:
            newest.setdefault(app, []).append(name)
    return newest


@dataclass(frozen=True, slots=True)
class Masks:
    """What is masked in the rows of a snapshot.

    `webhooks` redacts the secrets of all webhooks, `names` are the names and ids of password
    parameters, `parameters` their keys, and the webhooks of the accounts `shown` keep their
    secrets.
    """

    webhooks: Redaction
    names: Collection[str]
    parameters: Collection[int]
    shown: Collection[str]

    def of_table(self, model: type[models.Model]) -> Callable[[Values], None]:
        """Return what masks the values of a row, by column."""
        label = model._meta.label
        redaction = self.webhooks if label in RECORDED else _FORMS
        new = [column for table, column in NEW_SECRETS if table == label]
        headers = [column for table, column in HEADERS if table == label]
        recorded_headers = [column for table, column in MASKED_HEADERS if table == label]
        texts = [
            each.attname
            for each in tables.stored_fields(model)
            if not (each.primary_key or each.is_relation or each.choices)
            and each.attname not in (*new, *headers, *recorded_headers)
        ]

        def mask(row: Values) -> None:
            for column in texts:
                row[column] = self._masked(redaction, row[column])
            for column in recorded_headers:
                row[column] = masked(row[column])
            if label != "webhooks.Webhook" or row["account_id"] not in self.shown:
                row.update(dict.fromkeys(new))
                for column in headers:
                    row[column] = _without_values(row[column])
            self._mask_row(label, redaction, row)

        return mask

    def _masked(self, redaction: Redaction, value: Any) -> Any:
        """Return a text or a JSON value without secrets."""
        if isinstance(value, str):
            return redaction.text(self._text(value))
        if isinstance(value, list | dict):
            text = json.dumps(value)
            masked_text = self._text(text)
            return redaction.value(value if masked_text == text else json.loads(masked_text))
        return value

    def _text(self, text: str) -> str:
        """Return a text without values of password parameters, and codes of forms."""
        return _CODE.sub(rf"\1{MASK}", without_passwords(text, self.names))

    def _mask_row(self, label: str, redaction: Redaction, row: Values) -> None:
        """Mask what is a secret because of another column."""
        if label == "catalog.Parameter":
            mask_password(row, self.names)
        if label == "catalog.Configuration" and row["parameter_id"] in self.parameters:
            mask_values(row)
        if label == "sandbox.ApiCall":
            body = without_passwords(row["request_body"], self.names, row["path"])
            row["request_body"] = body
        if label == "webhooks.Attempt":
            row["response_body"] = self._body(redaction, row)

    def _body(self, redaction: Redaction, attempt: Values) -> bytes:
        """Return the body of a response; of a compressed one only its size."""
        body = bytes(attempt["response_body"])
        headers = {str(name).lower(): str(value) for name, value in attempt["response_headers"]}
        if body and headers.get("content-encoding", "identity").strip().lower() != "identity":
            return f"[compressed, {len(body)} bytes: left out of the file]".encode()
        body = redaction.body(body, is_cut=attempt["truncated"])
        text = body.decode("utf-8", "surrogateescape")
        masked_text = self._text(text)
        return body if masked_text == text else masked_text.encode("utf-8", "surrogateescape")


def _without_values(headers: dict[str, Any]) -> dict[str, Any]:
    """Return the headers with null in place of a value that pages mask."""
    return {name: value if name.lower() in HARMLESS else None for name, value in headers.items()}
