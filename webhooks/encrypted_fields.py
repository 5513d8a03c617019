"""Columns that are encrypted at rest, with the key of `SIM_ENCRYPTION_KEY`: text and JSON."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import models

from requests_queue.encryption import decrypt, encrypt


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Plain in Python, encrypted in the database; can't be filtered by."""

    def from_db_value(self, value: str | None, *args: Any) -> str | None:
        """Decrypt what was read."""
        return None if value is None else decrypt(value)

    def get_prep_value(self, value: str | None) -> str | None:
        """Encrypt what is written."""
        return None if value is None else encrypt(value)


@lru_cache(maxsize=1024)
def _seal(key: str, text: str) -> str:
    # Cached: each attempt of a webhook stores the same headers.
    return encrypt(text)


def seal(value: Any) -> str:
    """Return a JSON value, encrypted: the text that an EncryptedJSONField stores as its JSON."""
    return _seal(settings.SIM_ENCRYPTION_KEY, json.dumps(value))


def unseal(stored: str) -> Any:
    """Return the value that was sealed, or an empty object where the key is another."""
    text = decrypt(stored)
    return json.loads(text) if text else {}


class EncryptedJSONField(models.JSONField):
    """JSON in Python; in the database a JSON string, encrypted. Can't be filtered by."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Decrypt what was read."""
        found = super().from_db_value(value, expression, connection)
        # None where an outer join found no row.
        return unseal(found) if isinstance(found, str) else found

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Encrypt what is written."""
        if value is not None and not hasattr(value, "as_sql"):
            value = seal(value)
        return super().get_db_prep_value(value, connection, prepared)
