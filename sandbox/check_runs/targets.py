"""The webhooks that can be checked, and whose they are."""

from __future__ import annotations

from django.db.models import QuerySet, Subquery

from requests_queue.catalog.models import Account
from sandbox.checks.options import EVENT, VALIDATOR
from webhooks.models import Webhook

# Checks create purchases, so they are about webhooks of subscription requests.
_OBJECT_CLASS = "fulfillment_request"
_TYPES = (EVENT, VALIDATOR)


def webhooks(account: str) -> QuerySet[Webhook]:
    """Return the webhooks of an account that can be checked: those that the vendor's key reads."""
    owner = Subquery(_vendors().values("pk")[:1])
    return Webhook.objects.filter(
        account=account, account_id=owner, object_class=_OBJECT_CLASS, type__in=_TYPES
    )


def key_owner() -> Account | None:
    """Return the vendor whose API key is in sandbox.json."""
    return _vendors().first()


def _vendors() -> QuerySet[Account]:
    # In the order of the command `sandbox`, which makes the key.
    return Account.objects.filter(type="vendor").order_by("created", "pk")
