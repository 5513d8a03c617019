"""API keys, `SU-ddd-ddd-ddd:secret`: creation, storage of hashes, lookup."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from requests_queue import clock, ids
from requests_queue.catalog.models import Account, ApiToken, User
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


def store(account: Account, key: str, name: str) -> ApiToken:
    """Store the key of a service user of the account; idempotent."""
    uid, secret = parse(key)
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
    token, _ = ApiToken.objects.update_or_create(
        user=user,
        defaults={"name": name, "digest": _digest(secret), "active": True},
        create_defaults={
            "name": name, "digest": _digest(secret), "created": clock.shown(clock.now()),
        },
    )  # fmt: skip
    return token


def owner(key: str) -> User | None:
    """Return the service user of a key, or None."""
    match = FORM.fullmatch(key)
    if match is None:
        return None
    token = (
        ApiToken.objects.select_related("user__account")
        .filter(user__uid=match[1], user__is_active=True, active=True)
        .first()
    )
    if token is None or not hmac.compare_digest(token.digest, _digest(match[2])):
        return None
    return token.user
