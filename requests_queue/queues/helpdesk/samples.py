"""Sample helpdesk cases of each type, and previews of them.

Technical cases are the distributor's questions about a product, business cases the vendor's.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account, Contract, Product
from requests_queue.errors import Refused
from requests_queue.queues import sampling
from requests_queue.queues.helpdesk import creation
from requests_queue.queues.helpdesk.models import Case
from requests_queue.queues.sampling import Preview, PreviewField, SampleRequest

_TEXTS = {
    "technical": (
        "Sign-in fails since this morning",
        "Customers get an error when they sign in. Please advise.",
        2,
    ),
    "business": (
        "Question about our contract",
        "We would like to sell in two more countries. What do we have to change?",
        0,
    ),
}
# Contracts that a preview offers at most.
OFFERED = 50
_ENTRIES = (
    PreviewField("subject", "Subject", "Case", required=True),
    PreviewField("description", "Description", "Case", required=True),
    PreviewField("priority", "Priority, from 0 (low) to 3 (urgent)", "Case", "number"),
)


@transaction.atomic
def create_sample(kind: str, product: Product | None, account: Account | None = None) -> Case:
    """Open a case of a type, about the product if there is one; raises Refused without partners."""
    sampling.check_type(kind, _TEXTS)
    contracts = _contracts(account, product)
    if not contracts:
        raise _without_partners()
    body, issuer, _ = _body(kind, contracts[0], product)
    return creation.create(body, sampling.with_user(issuer))


def build_preview(request: SampleRequest) -> Preview:
    """Return the body of `POST /helpdesk/cases`; raises Refused."""
    contracts = _contracts(request.account, request.product)
    if not contracts:
        raise _without_partners()
    chosen = sampling.chosen(contracts, request.about)
    body, issuer, product = _body(request.kind, chosen, request.product)
    return Preview(
        body,
        sampling.with_user(issuer),
        product,
        _ENTRIES,
        about_label="Contract",
        about=tuple(
            (row.pk, f"{row.vendor.name} and {row.provider.name} · {row.pk}") for row in contracts
        ),
        chosen=chosen.pk,
    )


def _without_partners() -> Refused:
    return Refused(
        "REQ_003", "No vendor and distributor have an active contract, and the product in common."
    )


def _contracts(account: Account | None, product: Product | None) -> list[Contract]:
    """Return the active contracts of an account, and of the vendor of a product."""
    rows: QuerySet[Contract] = Contract.objects.filter(status="active", **visibility.party(account))
    if product:
        rows = rows.filter(vendor=product.owner_id)
    found = list(rows.select_related("vendor", "provider").order_by("pk")[:OFFERED])
    if product is None:
        return found
    return [row for row in found if _products(row).filter(pk=product.pk).exists()]


def _products(contract: Contract) -> QuerySet[Product]:
    return creation.products(contract.vendor, contract.provider)


def _body(
    kind: str, contract: Contract, product: Product | None
) -> tuple[dict[str, Any], Account, Product | None]:
    """Return the body of a case of a type, its issuer, and its product."""
    issuer, receiver = contract.provider, contract.vendor
    if kind == "business":
        issuer, receiver = receiver, issuer
    elif product is None:
        product = _products(contract).order_by("pk").first()
    subject, description, priority = _TEXTS[kind]
    body: dict[str, Any] = {
        "type": kind,
        "subject": subject,
        "description": description,
        "priority": priority,
        "receiver": {"account": {"id": receiver.pk}},
    }
    if product is not None:
        body["product"] = {"id": product.pk}
    return body, issuer, product
