"""Customers and resellers as orders name them: by id, or whole, found or made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from requests_queue import clock, ids
from requests_queue.catalog.models import Account, Hub, TierAccount
from requests_queue.errors import Invalid

_REQUIRED = ("address_line1", "city", "postal_code", "country")
_REQUIRED_CONTACT = ("first_name", "last_name", "email")
_NAMES = ("name", "external_id", "external_uid", "tax_id")


def check_contact_info(given: Any, path: str) -> dict[str, Any]:
    """Return contact info in the API's shape, every key present; raises Invalid."""
    info = _mapping(given, path)
    contact = _mapping(info.get("contact"), f"{path}.contact")
    errors = [f"{path}.{k}: This field may not be blank." for k in _REQUIRED if not info.get(k)]
    errors += [
        f"{path}.contact.{k}: This field may not be blank."
        for k in _REQUIRED_CONTACT
        if not contact.get(k)
    ]
    if not errors:
        try:
            validate_email(contact["email"])
        except ValidationError:
            errors.append(f"{path}.contact.email: Enter a valid email address.")
    if errors:
        raise Invalid(*errors)
    # Published reports index phone_number's parts without asking whether they are there.
    phone = _mapping(contact.get("phone_number"), f"{path}.contact.phone_number", optional=True)
    return {
        **{k: _text(info, k, path) for k in (*_REQUIRED, "address_line2", "state")},
        "contact": {
            **{k: _text(contact, k, f"{path}.contact") for k in _REQUIRED_CONTACT},
            "phone_number": {
                k: _text(phone, k, f"{path}.contact.phone_number")
                for k in ("country_code", "area_code", "phone_number", "extension")
            },
        },
    }


def _mapping(value: Any, path: str, *, optional: bool = False) -> Mapping[str, Any]:
    if optional and not value:
        return {}
    if not isinstance(value, Mapping):
        raise Invalid(f"{path}: This field is required.")
    return value


def _text(data: Mapping[str, Any], name: str, path: str, limit: int = 255) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        raise Invalid(f"{path}.{name}: Not a valid string.".lstrip("."))
    if len(str(value)) > limit:
        said = f"Ensure this field has no more than {limit} characters."
        raise Invalid(f"{path}.{name}: {said}".lstrip("."))
    return str(value)


def find_or_make(
    given: Any, *, kind: str, owner: Account, hub: Hub | None, path: str, now: datetime
) -> TierAccount | None:
    """Return the tier account that an order names, or None for an empty tier.

    By `id`, else by `external_uid`, else by `external_id`, among the provider's own; else a
    new one from `name` and `contact_info`.  Raises Invalid.
    """
    if given in (None, {}, ""):
        return None
    data = _mapping(given, path)
    mine = TierAccount.objects.filter(owner=owner, decommissioned=None)
    if data.get("id"):
        found = mine.filter(pk=str(data["id"])).first()
        if found is None:
            raise Invalid(f"{path}.id: Tier account {data['id']} does not exist.")
        return found
    for key in ("external_uid", "external_id"):
        if data.get(key):
            found = mine.filter(**{key: _text(data, key, path)}).first()
            if found is not None:
                return found
    uid = _text(data, "external_uid", path)
    if uid and TierAccount.objects.filter(owner=owner, external_uid=uid).exists():
        raise Invalid(f"{path}.external_uid: The tier account of {uid} is decommissioned.")
    return make(data, kind=kind, owner=owner, hub=hub, path=path, now=now)


def make(
    data: Mapping[str, Any], *, kind: str, owner: Account, hub: Hub | None, path: str, now: datetime
) -> TierAccount:
    """Create a tier account; raises Invalid."""
    info = check_contact_info(data.get("contact_info"), f"{path}.contact_info".lstrip("."))
    texts = {k: _text(data, k, path) for k in _NAMES}
    contact = info["contact"]
    texts["name"] = texts["name"] or f"{contact['first_name']} {contact['last_name']}"
    shown = clock.shown(now)
    return ids.create(
        lambda pk: TierAccount(
            pk=pk,
            type=kind,
            owner=owner,
            hub=hub,
            contact_info=info,
            created=shown,
            updated=shown,
            **texts,
        ),
        "tier_account",
    )
