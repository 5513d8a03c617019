"""What a provider's POST, PUT and DELETE make of a tier account, behind `/tier/accounts`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from requests_queue import body, clock
from requests_queue.catalog import tier_versions, tiers
from requests_queue.catalog.models import Account, Hub, TierAccount, TierAccountVersion
from requests_queue.errors import ActionNotAllowed, FieldError, Invalid

_TEXTS = {"name": 255, "external_id": 255, "external_uid": 255, "tax_id": 100}
_CHOICES = {
    "type": ("customer", "reseller"),
    "environment": ("production", "test", "preview"),
}
_TAKEN = "Tier account with this external_uid already exists."


def create(data: Mapping[str, Any], account: Account) -> TierAccount:
    """Create a tier account of the provider; raises Invalid."""
    fields = _fields(data, account, None)
    info = _contact_info(data.get("contact_info"), {})
    more = {k: v for k, v in fields.items() if k in ("environment", "parent")}
    with _unique_uid():
        row = tiers.make(
            {**fields, "contact_info": info},
            kind=fields.get("type", "customer"),
            owner=account,
            hub=_hub(data.get("hub"), account),
            path="",
            now=clock.now(),
        )
        if more:
            TierAccount.objects.filter(pk=row.pk).update(**more)
    return row


def update(pk: str, data: Mapping[str, Any], account: Account) -> TierAccountVersion | None:
    """Change what the body names and return the version that this makes, None without a change.

    Whoever listens to `tier_versions.tier_account_changed` acts in the same transaction.
    Raises Invalid, IllegalMove.
    """
    with transaction.atomic():
        if "parent" in data:
            # Two that become each other's parent: the later one sees the earlier.
            Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        row = _locked(pk)
        fields = _fields(data, account, row)
        if "contact_info" in data:
            fields["contact_info"] = _contact_info(data["contact_info"], row.contact_info)
        return write(row, fields)


def write(row: TierAccount, fields: Mapping[str, Any]) -> TierAccountVersion | None:
    """Write columns of an account, locked by the caller's transaction; the only way to."""
    changed = {k: v for k, v in fields.items() if getattr(row, k) != v}
    if not changed:
        return None
    tier_versions.keep(row)
    now = clock.now()
    with _unique_uid():
        TierAccount.objects.filter(pk=row.pk).update(
            **changed, version=F("version") + 1, updated=clock.shown(now)
        )
    row.refresh_from_db()
    version = tier_versions.keep(row)
    tier_versions.tier_account_changed.send(sender=TierAccount, version=version, now=now)
    return version


def decommission(pk: str) -> None:
    """End a tier account: it stays readable, and orders no longer find it."""
    with transaction.atomic():
        _locked(pk)
        now = clock.shown(clock.now())
        TierAccount.objects.filter(pk=pk).update(decommissioned=now, updated=now)


def _locked(pk: str) -> TierAccount:
    row = TierAccount.objects.select_for_update().get(pk=pk)
    if row.decommissioned:
        raise ActionNotAllowed(
            f"Tier account {pk} is decommissioned: it can't be changed any more."
        )
    return row


def _fields(data: Mapping[str, Any], account: Account, row: TierAccount | None) -> dict[str, Any]:
    """Return the columns that the body names; raises Invalid with all that is wrong."""
    found: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name in (*_TEXTS, *_CHOICES):
        if name in data:
            value, error = _value(name, data[name])
            errors += [error] if error else []
            if value is not None:
                found[name] = value
    if row is not None and found.get("name") == "":
        errors.append(FieldError("name", "This field may not be blank.", "blank"))
    if errors:
        raise Invalid.of(errors)
    if "parent" in data:
        found["parent"] = _parent(data["parent"], account, row)
    return found


def _value(name: str, given: Any) -> tuple[str | None, FieldError | None]:
    """Return the value of a text or a choice, or what is wrong with it."""
    if name in _CHOICES:
        if given is None or given in _CHOICES[name]:
            return given, None
        return None, FieldError(name, f'"{given}" is not a valid choice.')
    try:
        return body.text_of(given, name, _TEXTS[name]), None
    except Invalid as wrong:
        return None, wrong.errors[0]


def _contact_info(given: Any, old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contact info that results from the given part of it; raises Invalid."""
    if not isinstance(given, Mapping):
        raise Invalid("contact_info", "This field is required.")
    merged = {**old, **given}
    if isinstance(given.get("contact"), Mapping):
        merged["contact"] = {**old.get("contact", {}), **given["contact"]}
    return tiers.check_contact_info(merged, "contact_info")


def _id(given: Any, path: str) -> str:
    pk = given.get("id") if isinstance(given, Mapping) else None
    if not isinstance(pk, str) or not pk:
        raise Invalid(f"{path}.id", "This field is required.")
    return pk


def _hub(given: Any, account: Account) -> Hub | None:
    """Return the hub that the body names, None where it names none.

    The lock keeps it from being deleted until commit.
    """
    if given in (None, {}, ""):
        return None
    pk = _id(given, "hub")
    mine = Hub.objects.select_for_update(no_key=True).filter(company=account)
    row = mine.filter(pk=pk).first()
    if row is None:
        raise Invalid("hub.id", f"Hub {pk} does not exist.")
    return row


def _parent(given: Any, account: Account, row: TierAccount | None) -> TierAccount | None:
    """Return the tier account above; raises Invalid where it is none, or below `row`."""
    if given in (None, {}, ""):
        return None
    pk = _id(given, "parent")
    parent = TierAccount.objects.filter(pk=pk, owner=account, decommissioned=None).first()
    if parent is None:
        raise Invalid("parent.id", f"Tier account {pk} does not exist.")
    above: TierAccount | None = parent
    met = set()
    while row is not None and above is not None and above.pk not in met:
        if above.pk == row.pk:
            raise Invalid("parent.id", "A tier account can't be above itself.")
        met.add(above.pk)
        above = above.parent
    return parent


@contextmanager
def _unique_uid() -> Iterator[None]:
    """Write in a transaction; an external uid that is taken is the caller's mistake."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "uid" in str(error):
            raise Invalid("external_uid", _TAKEN, "unique") from None
        raise
