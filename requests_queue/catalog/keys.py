"""API keys, `SU-ddd-ddd-ddd:secret`: creation, storage of hashes, expiry, last use, lookup."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from requests_queue import clock, ids
from requests_queue.catalog import audit, key_uses
from requests_queue.catalog.models import Account, ApiToken, User
from requests_queue.catalog.modules import ALL, MODULES
from requests_queue.db.rows import find_one
from requests_queue.errors import Invalid

FORM = re.compile(r"(SU-\d{3}-\d{3}-\d{3}):([\x21-\x7e]{8,200})")


def new_key() -> str:
    """Return a random key."""
    return f"{ids.draw('service_user')}:{secrets.token_hex(20)}"


def parse(key: str) -> tuple[str, str]:
    """Return the service user's id and the secret; raises Invalid, whose text lacks the key."""
    match = FORM.fullmatch(key.removeprefix("ApiKey ").strip())
    if match is None:
        raise Invalid(
            "", "An API key has the form SU-ddd-ddd-ddd:secret, the secret 8 characters or more."
        )
    return match[1], match[2]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def parse_expiry(text: str) -> datetime:
    """Return when a key expires: after days, `90d`, or at the end of a day, `2027-01-31` (UTC).

    Raises Invalid for other texts, and for a day in the past.
    """
    now = timezone.now()
    if match := re.fullmatch(r"([1-9][0-9]{0,4})d", text, re.ASCII):
        return now.replace(microsecond=0) + timedelta(days=int(match[1]))
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        expires = day + timedelta(days=1)
    except (ValueError, OverflowError):
        raise Invalid("", "An expiry is a number of days, 90d, or a date, 2027-01-31.") from None
    if expires <= now:
        raise Invalid("", "The expiry is in the past.")
    return expires


def create(
    account: Account,
    name: str,
    description: str = "",
    expires: datetime | None = None,
    modules: Collection[str] = (ALL,),
) -> tuple[str, ApiToken]:
    """Create a service user with a random key; return the key, which is not stored, and its row.

    Raises Invalid, as `store` does.
    """
    key = new_key()
    while User.objects.filter(uid=parse(key)[0]).exists():
        key = new_key()
    return key, store(account, key, name, description, expires, modules)


@transaction.atomic
def store(
    account: Account,
    key: str,
    name: str,
    description: str = "",
    expires: datetime | None = None,
    modules: Collection[str] | None = None,
) -> ApiToken:
    """Store the key of a service user of the account; idempotent. Raises Invalid.

    `modules` are names of those for which it has permission, or ALL alone. None leaves those of
    a key that is stored again, and means all for a new one.
    """
    uid, secret = parse(key)
    chosen = {} if modules is None else {"modules": _ordered(modules)}
    for text, limit in ((name, 100), (description, 512)):
        if len(text) > limit or "\0" in text:
            raise Invalid("", f"Use at most {limit} characters, without NUL.")
    user, _ = User.objects.get_or_create(
        uid=uid,
        defaults={
            "username": uid,
            "first_name": name,
            "email": f"{uid.lower()}@{account.id.lower()}.example.com",
            "account": account,
            "is_service": True,
        },
    )
    if user.account_id != account.pk:
        raise Invalid("", f"{uid} belongs to another account: choose another service user.")
    # The key of an inactive user would be refused.
    activated = User.objects.filter(pk=user.pk, is_active=False).update(is_active=True)
    before = ApiToken.objects.filter(user=user).first()
    values = {
        "name": name,
        "description": description,
        "digest": _digest(secret),
        "expires": expires,
        **chosen,
    }
    token, _ = ApiToken.objects.update_or_create(
        user=user,
        defaults={**values, "active": True},
        create_defaults={**values, "created": clock.shown(clock.now())},
    )
    changed = (
        []
        if before is None
        else [name for name in (*values, "active") if getattr(before, name) != getattr(token, name)]
    )
    if activated:
        changed.append("is_active")
    if before is None or changed:
        action = audit.Action.KEY_CREATE if before is None else audit.Action.KEY_EDIT
        audit.record(action, "key", uid, account=account.pk, fields=changed)
    return token


def _ordered(modules: Collection[str]) -> list[str]:
    """Return the names as they are stored; raises Invalid."""
    chosen = [ALL] if set(modules) == {ALL} else [each for each in MODULES if each in modules]
    if not chosen or set(chosen) != set(modules):
        raise Invalid("", f"Choose all modules, or one or more of: {', '.join(MODULES)}.")
    return chosen


@transaction.atomic
def set_modules(token: ApiToken, modules: Collection[str]) -> None:
    """Choose the modules of a key; raises Invalid. Other columns stay as they are."""
    chosen = _ordered(modules)
    if ApiToken.objects.filter(pk=token.pk).exclude(modules=chosen).update(modules=chosen):
        user = token.user
        audit.record(
            audit.Action.KEY_EDIT, "key", user.uid, account=user.account_id, fields=["modules"]
        )


@transaction.atomic
def revoke(uid: str, account: Account | None = None) -> bool:
    """Revoke the key of a service user, of this account if one is given; False if it has none."""
    rows = ApiToken.objects.filter(user__uid=uid, active=True)
    if account is not None:
        rows = rows.filter(user__account=account)
    accounts = list(rows.values_list("user__account", flat=True))
    if not rows.update(active=False):
        return False
    audit.record(audit.Action.KEY_REVOKE, "key", uid, account=accounts[0])
    return True


def valid_token(key: str, now: datetime) -> ApiToken | None:
    """Return the row of a key that is valid, or None."""
    match = FORM.fullmatch(key)
    if match is None:
        return None
    token = find_one(
        ApiToken.objects.select_related("user__account").filter(
            user__uid=match[1], user__is_active=True, active=True
        )
    )
    if token is None or not hmac.compare_digest(token.digest, _digest(match[2])):
        return None
    return None if token.is_expired(now) else token


def owner(key: str) -> User | None:
    """Return the service user of a valid key, or None; note the use."""
    now = timezone.now()
    token = valid_token(key, now)
    if token is None:
        return None
    key_uses.note(token.pk, now)
    return token.user
