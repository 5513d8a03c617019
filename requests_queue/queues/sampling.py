"""Samples and previews: what a queue is asked for and returns, and what several queues share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from requests_queue.api.schema import Json
from requests_queue.catalog import parameter_values, sample_values
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Product, User
from requests_queue.errors import Invalid, Refused

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


@dataclass(frozen=True, slots=True)
class PreviewField:
    """An editable field of a preview.

    `path` is the dotted path of its value in the body (numbers are list indexes), `kind` is text,
    number or email, and `word` is how errors of its list name it.
    """

    path: str
    label: str
    section: str = ""
    kind: str = "text"
    required: bool = False
    word: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """An object that isn't created yet: the body of its POST, and who would make the call.

    `params` are parameters as the API shows them, with the values proposed; `params_path` is
    where a body has them. `about` are the objects that it could be about (id, label), of which
    `chosen` is one: another one makes another proposal.
    """

    body: dict[str, Any]
    actor: Actor
    # None where it is not about a product.
    product: Product | None
    entries: tuple[PreviewField, ...] = ()
    params: tuple[dict[str, Any], ...] = ()
    params_path: str = "params"
    about_label: str = ""
    about: tuple[tuple[str, str], ...] = ()
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """What a sample is wanted of: a type, a product, and what it is about, for one of its parties.

    What is empty or None is the first that fits. A `draft` is one to be validated.
    """

    kind: str
    account: Account
    product: Product | None = None
    about: str = ""
    draft: bool = False


# Proposes a realistic object and makes nothing.  Raises Refused where there is none to propose.
PreviewBuilder = Callable[[SampleRequest], Preview]


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
