"""Tier accounts in the bodies of orders: found by id or external id, or created."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet

from requests_queue import body, clock, ids
from requests_queue.catalog import preview
from requests_queue.catalog.models import Account, Hub, TierAccount
from requests_queue.errors import FieldError, Invalid

# Maximum lengths, from Connect's document.
_PLACE = {
    "address_line1": 255, "address_line2": 255, "city": 100, "state": 100, "postal_code": 50,
    "country": 100,
}  # fmt: skip
_PERSON = {"first_name": 100, "last_name": 100, "email": 254}
_PHONE = {"country_code": 25, "area_code": 25, "phone_number": 25, "extension": 25}
_NAMES = {"name": 255, "external_id": 255, "external_uid": 255, "tax_id": 100}
_MAY_BE_BLANK = ("address_line2", "state")


def check_contact_info(given: Any, path: str) -> dict[str, Any]:
    """Return contact info with every key of the API; raises Invalid."""
    info = _mapping(given, path)
    contact = _mapping(info.get("contact"), f"{path}.contact")
    # Published reports access all keys of phone_number.
    phone = contact.get("phone_number")
    phone = {} if phone in (None, "") else _mapping(phone, f"{path}.contact.phone_number")
    place = _texts(info, _PLACE, path)
    person = _texts(contact, _PERSON, f"{path}.contact")
    errors = [
        FieldError(f"{where}.{name}", "This field may not be blank.", "blank")
        for where, found in ((path, place), (f"{path}.contact", person))
        for name, value in found.items()
        if not value.strip() and name not in _MAY_BE_BLANK
    ]
    if not errors:
        try:
            validate_email(person["email"])
        except ValidationError:
            errors.append(FieldError(f"{path}.contact.email", "Enter a valid email address."))
    if errors:
        raise Invalid.of(errors)
    numbers = _texts(phone, _PHONE, f"{path}.contact.phone_number")
    return {**place, "contact": {**person, "phone_number": numbers}}


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid(path, "This field is required.")
    return value


def _texts(data: Mapping[str, Any], limits: Mapping[str, int], path: str) -> dict[str, str]:
    """Return the texts of an object, empty by default; numbers become digits."""
    within = f"{path}." if path else ""
    return {name: body.label(data, name, limit, within=within) for name, limit in limits.items()}


def find_or_create(
    given: Any, *, kind: str, owner: Account, hub: Hub | None, path: str, now: datetime
) -> TierAccount | None:
    """Return the tier account of an order, or None for an empty tier.

    Found by `id`, else by `external_uid`, else by `external_id` (unless it has another uid) among
    the provider's own; else created from `name` and `contact_info`.  Raises Invalid.
    """
    if given in (None, {}, ""):
        return None
    data = _mapping(given, path)
    mine = TierAccount.objects.filter(owner=owner, decommissioned=None)
    if pk := body.id_of(data, path):
        found = mine.filter(pk=pk).first()
        if found is None:
            raise Invalid(f"{path}.id", f"Tier account {pk} does not exist.")
        return found
    names = _texts(data, _NAMES, path)
    if (known := _known(mine, names)) is not None:
        return known
    uid = names["external_uid"]
    if uid and TierAccount.objects.filter(owner=owner, external_uid=uid).exists():
        raise Invalid(f"{path}.external_uid", f"The tier account of {uid} is decommissioned.")
    if names["external_id"] and not uid:
        # External ids have no unique constraint: lock the owner, then look again.
        Account.objects.select_for_update(no_key=True).get(pk=owner.pk)
        if (known := _known(mine, names)) is not None:
            return known
    return make(data, kind=kind, owner=owner, hub=hub, path=path, now=now)


def _known(mine: QuerySet[TierAccount], names: Mapping[str, str]) -> TierAccount | None:
    uid, external_id = names["external_uid"], names["external_id"]
    found = mine.filter(external_uid=uid).first() if uid else None
    if found is None and external_id:
        others = mine.filter(external_uid="") if uid else mine
        found = others.filter(external_id=external_id).first()
    return found


def make(
    data: Mapping[str, Any], *, kind: str, owner: Account, hub: Hub | None, path: str, now: datetime
) -> TierAccount:
    """Create a tier account; raises Invalid."""
    info = check_contact_info(data.get("contact_info"), f"{path}.contact_info".lstrip("."))
    texts = _texts(data, _NAMES, path)
    contact = info["contact"]
    texts["name"] = texts["name"] or f"{contact['first_name']} {contact['last_name']}"
    shown = clock.shown(now)
    return ids.create(
        lambda pk: TierAccount(
            pk=pk,
            type=kind,
            owner=owner,
            hub=hub,
            environment=preview.TYPE if hub is not None and hub.pk == preview.HUB else "test",
            contact_info=info,
            created=shown,
            updated=shown,
            **texts,
        ),
        "tier_account",
    )
