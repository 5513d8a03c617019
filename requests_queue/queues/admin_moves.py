"""What the admin's pages of the queues ask and do to make a move: who acts, and with which body.

The rules stay in the queue's declaration and in `transitions`: a form here only puts a body
together, and what is refused comes back as a sentence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django import forms
from django.db.models import Model
from django.http import HttpRequest

from requests_queue import clock, transitions
from requests_queue.catalog.admin_access import account_of, user_of
from requests_queue.catalog.admin_fields import JsonField
from requests_queue.catalog.admin_show import moment
from requests_queue.catalog.models import Template
from requests_queue.errors import Forbidden
from requests_queue.queues.base import DISTRIBUTOR, VENDOR, Actor, Queue, QueueObject

# The fields that a move has, besides a body, where the queue's objects have such a column.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "approve": ("template_id", "effective_date"),
    "inquire": ("template_id",),
    "fail": ("reason",),
    "revoke": ("reason",),
    "ignore": ("reason",),
    "schedule": ("planned_date",),
    "accept": ("acceptance_note",),
    "reject": ("rejection_note",),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A move that somebody can make: its name, the side that makes it, where it leads."""

    name: str
    role: str
    target: str


def roles(request: HttpRequest, model: type[Model]) -> tuple[str, ...]:
    """Return the roles that the user can act in: an account its own, an administrator both."""
    account = account_of(request)
    if account is not None:
        return (VENDOR,) if account.is_vendor else (DISTRIBUTOR,)
    may = user_of(request).has_perm(f"{model._meta.app_label}.change_{model._meta.model_name}")
    return (VENDOR, DISTRIBUTOR) if may else ()


def sides(request: HttpRequest, row: QueueObject) -> tuple[str, ...]:
    """Return the roles that the user can act in with this object: an account as its party."""
    account = account_of(request)
    if account is not None and account.pk not in row.parties():
        return ()
    return roles(request, type(row))


def offers(queue: Queue, row: QueueObject, acting: tuple[str, ...]) -> list[Offer]:
    """Return the legal moves of those roles; one that several may make, for the first."""
    found: dict[str, Offer] = {}
    for role in acting:
        for move in queue.legal(row, role):
            found.setdefault(move.name, Offer(move.name, role, move.target))
    order = [move.name for move in queue.moves]
    return sorted(found.values(), key=lambda offer: order.index(offer.name))


def make(
    queue: Queue, row: QueueObject, name: str, request: HttpRequest, data: Mapping[str, Any]
) -> Offer:
    """Make the move as the side that it belongs to; raises Refused.

    A move that is not legal now is tried all the same: `transitions` says what is wrong with it.
    """
    acting = sides(request, row)
    offer = next((o for o in offers(queue, row, acting) if o.name == name), None)
    if offer is None:
        who = {role for move in queue.by_name[name] for role in move.who}
        role = next((r for r in acting if r in who), None)
        if role is None:
            raise Forbidden(f"{name} is not for a {' or '.join(acting) or 'stranger'}.")
        offer = Offer(name, role, "")
    account = row.vendor if offer.role == VENDOR else row.provider
    actor = Actor(user_of(request), account)
    moved = transitions.move(queue.model, row.pk, name, actor, data)
    return Offer(name, offer.role, moved.status)


def fields_of(queue: Queue, name: str) -> tuple[str, ...]:
    """Return the fields that the move's form has besides the body."""
    columns = {f.name for f in queue.model._meta.get_fields()}
    return tuple(f for f in FIELDS.get(name, ()) if f.removesuffix("_id") in columns)


class MoveForm(forms.Form):
    """The body of a move, from a few friendly fields and JSON for all the rest."""

    reason = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    acceptance_note = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    rejection_note = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    template_id = forms.ChoiceField(label="Template", required=False)
    planned_date = forms.DateTimeField(
        required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    effective_date = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="UTC; empty: now.",
    )
    body = JsonField(
        required=False,
        label="Body (JSON)",
        help_text="What else the API's call of this name takes; fields above win.",
    )

    def __init__(
        self, queue: Queue, name: str, products: Collection[str], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        shown = {*fields_of(queue, name), "body"}
        for field in self.fields.keys() - shown:
            del self.fields[field]
        self.fields["body"].widget.attrs["rows"] = 2
        if "template_id" in self.fields:
            self.fields["template_id"].choices = _templates(products)  # type: ignore[attr-defined]
        if "planned_date" in self.fields:
            self.fields["planned_date"].help_text = f"UTC; it is now {moment(clock.now())}."

    def data_of_move(self) -> dict[str, Any]:
        """Return the body of the move, in the forms that the API takes."""
        data: dict[str, Any] = dict(self.cleaned_data["body"])
        for name, value in self.cleaned_data.items():
            if name == "body" or value in (None, ""):
                continue
            data[name] = value.astimezone(UTC).isoformat() if name.endswith("_date") else value
        if "template_id" in data:
            # Tier configuration requests name their template so.
            data.setdefault("template", {"id": data["template_id"]})
        return data


def _templates(products: Collection[str]) -> list[tuple[str, str]]:
    rows = Template.objects.filter(product__in=products)
    return [("", "The product's default"), *((row.pk, str(row)) for row in rows)]
