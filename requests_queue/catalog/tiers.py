"""Customers and resellers of orders: by id, or as a whole, found or created."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet

from requests_queue import clock, ids
from requests_queue.api.fields import Id, Input, Values
from requests_queue.catalog import preview
from requests_queue.catalog.models import Account, Hub, TierAccount
from requests_queue.db.rows import find_one, get_named
from requests_queue.errors import FieldError, Invalid

_MAY_BE_BLANK = ("address_line2", "state")


class PhoneInput(Input):
    """A phone number in its parts."""

    texts = {"country_code": 25, "area_code": 25, "phone_number": 25, "extension": 25}


class ContactInput(Input):
    """A person to write to."""

    texts = {"first_name": 100, "last_name": 100, "email": 254}
    phone_number = PhoneInput(allow_null=True)


class ContactInfoInput(Input):
    """Where a customer or a reseller is, and a person there."""

    texts = {
        "address_line1": 255,
        "address_line2": 255,
        "city": 100,
        "state": 100,
        "postal_code": 50,
        "country": 100,
    }
    contact = ContactInput(allow_null=True)


class TierInput(Input):
    """A customer or a reseller by `id`, or as a whole; known ones are found by `external_uid`."""

    null_value = None
    nulls = ({},)
    texts = {"name": 255, "external_id": 255, "external_uid": 255, "tax_id": 100}
    id = Id()
    contact_info = ContactInfoInput(allow_null=True)


def complete_contact_info(values: Values | None, path: str) -> dict[str, Any]:
    """Return contact information as the API shows it, every key present; raises Invalid."""
    contact: Any = (values or {}).get("contact")
    for where, part in ((path, values), (f"{path}.contact", contact)):
        if part is None:
            raise Invalid(where, "This field is required.", "required")
    assert values is not None
    place, person = _texts(ContactInfoInput, values), _texts(ContactInput, contact)
    errors = [
        FieldError(f"{where}.{name}", "This field may not be blank.", "blank")
        for where, texts in ((path, place), (f"{path}.contact", person))
        for name, value in texts.items()
        if not value.strip() and name not in _MAY_BE_BLANK
    ]
    if errors:
        raise Invalid.of(errors)
    try:
        validate_email(person["email"])
    except ValidationError:
        raise Invalid(f"{path}.contact.email", "Enter a valid email address.") from None
    # Published reports index phone_number's parts without asking whether they are there.
    phone = _texts(PhoneInput, contact.get("phone_number", {}))
    return {**place, "contact": {**person, "phone_number": phone}}


def _texts(kind: type[Input], values: Values) -> dict[str, str]:
    """Return all texts that an object has, empty by default."""
    return {name: values.get(name, "") for name in kind.texts}


def find_or_create(
    values: Values | None, *, kind: str, owner: Account, hub: Hub | None, path: str, now: datetime
) -> TierAccount | None:
    """Return the tier account of a `TierInput`, or None for an empty one.

    Found by `id`, else by `external_uid`, else by `external_id` (unless it has another uid) among
    the provider's own; else created from `name` and `contact_info`.  Raises Invalid.
    """
    if values is None:
        return None
    if pk := values.get("id"):
        return get_named(_mine(owner), pk, f"{path}.id", "Tier account")
    names = _texts(TierInput, values)
    if (known := _known(owner, names)) is not None:
        return known
    if uid := names["external_uid"]:
        # Not any account of this uid: a concurrent call may have created one since.
        others = TierAccount.objects.filter(owner=owner, external_uid=uid)
        if others.filter(decommissioned__isnull=False).exists():
            raise Invalid(f"{path}.external_uid", f"The tier account of {uid} is decommissioned.")
    if names["external_id"] and not uid:
        # Nothing in the database keeps an external id unique: lock the owner, then read again.
        Account.objects.select_for_update(no_key=True).get(pk=owner.pk)
        if (known := _known(owner, names)) is not None:
            return known
    info = complete_contact_info(values.get("contact_info"), f"{path}.contact_info")
    return make(names, info, kind=kind, owner=owner, hub=hub, now=now)


def _mine(owner: Account) -> QuerySet[TierAccount]:
    return TierAccount.objects.filter(owner=owner, decommissioned=None)


def _known(owner: Account, names: Mapping[str, str]) -> TierAccount | None:
    uid, external_id = names["external_uid"], names["external_id"]
    # A uid is unique among the accounts of an owner.
    found = find_one(_mine(owner).filter(external_uid=uid)) if uid else None
    if found is None and external_id:
        others = _mine(owner).filter(external_uid="") if uid else _mine(owner)
        found = others.filter(external_id=external_id).first()
    return found


def make(
    names: dict[str, str],
    info: dict[str, Any],
    *,
    kind: str,
    owner: Account,
    hub: Hub | None,
    now: datetime,
    **columns: Any,
) -> TierAccount:
    """Create a tier account from its names and its complete contact information."""
    contact = info["contact"]
    name = names.get("name") or f"{contact['first_name']} {contact['last_name']}"
    shown = clock.shown(now)
    columns = {"environment": preview.TYPE if hub and hub.pk == preview.HUB else "test"} | columns
    return ids.create(
        TierAccount(
            type=kind,
            owner=owner,
            hub=hub,
            contact_info=info,
            created=shown,
            updated=shown,
            **(names | columns | {"name": name}),
        ),
        "tier_account",
    )
