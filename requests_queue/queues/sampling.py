"""What the samples and previews of several queues share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

from django.db.models import Model, QuerySet

from requests_queue import sample_values
from requests_queue.catalog import parameter_values
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Product, User
from requests_queue.errors import Invalid, Refused
from requests_queue.queues.base import PreviewField
from requests_queue.schema import Json

M = TypeVar("M", bound=Model)
_CONTACT = (
    ("name", "Company", "text"),
    ("external_id", "External ID", "text"),
    ("contact_info.contact.first_name", "First name", "text"),
    ("contact_info.contact.last_name", "Last name", "text"),
    ("contact_info.contact.email", "Email", "email"),
    ("contact_info.address_line1", "Address", "text"),
    ("contact_info.city", "City", "text"),
    ("contact_info.postal_code", "Postal code", "text"),
    ("contact_info.country", "Country", "text"),
)


def company_fields(path: str, section: str) -> list[PreviewField]:
    """Return the fields of a company: name, contact and address."""
    return [
        PreviewField(f"{path}.{name}", label, section, kind, required=name == "name")
        for name, label, kind in _CONTACT
    ]


def filled(params: parameter_values.Params) -> tuple[Json, ...]:
    """Return copies of the ordering parameters with sample values."""
    copies = tuple(dict(param) for param in params if param["phase"] == "ordering")
    for param in copies:
        parameter_values.set_value(param, sample_values.fill(param))
    return copies


def of_product(rows: QuerySet[M], product: Product | None) -> QuerySet[M]:
    """Return the rows of a product; without one, all."""
    return rows.filter(product=product) if product else rows


def chosen(rows: Sequence[M], pk: str) -> M:
    """Return the row that a preview is about, by default the first."""
    return next((row for row in rows if row.pk == pk), rows[0])


def with_user(account: Account) -> Actor:
    """Return the actor of an account, with one of its users if it has any."""
    user = User.objects.filter(account=account, is_active=True).order_by("is_service", "pk").first()
    return Actor(user, account)


def check_type(kind: str, types: Collection[str], suffix: str = "") -> None:
    """Raise Invalid for a type that is not one of these."""
    if kind not in types:
        raise Invalid("type", f'"{kind}" is not one of {", ".join(types)}{suffix}.')


def draft_status(kind: str, capability: str, product: Product) -> dict[str, str]:
    """Return the status of a draft for the body; raises Refused without the capability."""
    if not product.capability(capability):
        raise Refused(
            "REQ_003",
            f"Drafts of type {kind} need the capability {capability}, which {product.pk} does "
            "not have.",
        )
    return {"status": "draft"}
