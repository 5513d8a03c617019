"""The secrets of accounts, which are redacted wherever something of theirs is stored."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from django.db import connection

from requests_queue.db import sql
from requests_queue.redaction import Redaction
from webhooks.http.headers import secret_values
from webhooks.models import Webhook

_SECRET: Any = Webhook._meta.get_field("jwt_secret")
_HEADERS: Any = Webhook._meta.get_field("headers")


def redactions(accounts: Collection[str]) -> dict[str, Redaction]:
    """Return what redacts the secrets of each account's webhooks; one statement."""
    if not accounts:
        return {}
    # Raw SQL, since the ORM would decrypt each value anew: it is part of each flush.
    is_theirs, params = sql.one_of("account_id", sorted(accounts))
    rows = sql.fetch(
        f"SELECT account_id, jwt_secret, headers FROM webhooks_webhook WHERE {is_theirs}", params
    )
    stored: dict[str, list[tuple[str, str]]] = {account: [] for account in accounts}
    for account, *encrypted in rows:
        stored[account].append(tuple(encrypted))
    return {account: _redaction(frozenset(each)) for account, each in stored.items()}


@lru_cache(maxsize=256)
def _redaction(stored: Collection[tuple[str, str]]) -> Redaction:
    """Return what redacts encrypted secrets and headers; cached, since few accounts change."""
    secrets: list[str] = []
    for secret, headers in stored:
        secrets.append(_SECRET.from_db_value(secret, None, connection))
        secrets += secret_values(_HEADERS.from_db_value(headers, None, connection))
    return Redaction(secrets)
