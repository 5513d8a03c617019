"""Encryption at rest, with the key of `SIM_ENCRYPTION_KEY`: of texts, and of model fields."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import models


@lru_cache(maxsize=4)
def _box(key: str) -> Fernet:
    # Derive the key, so that any text can be a key.
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))


def encrypt(text: str) -> str:
    """Return the text, encrypted and authenticated."""
    return _box(settings.SIM_ENCRYPTION_KEY).encrypt(text.encode()).decode()


def _read(key: str, stored: str) -> str:
    try:
        return _box(key).decrypt(stored.encode()).decode()
    except InvalidToken:
        # One unreadable secret must not stop the deliveries of other webhooks: an attempt
        # without a secret fails with a message.
        return ""


_open = lru_cache(maxsize=4096)(_read)


def decrypt(stored: str) -> str:
    """Return the decrypted text; empty if it was encrypted with another key."""
    return _open(settings.SIM_ENCRYPTION_KEY, stored)


def decrypt_once(stored: str) -> str:
    """Return the decrypted text without caching it, for large texts that are rarely read."""
    return _read(settings.SIM_ENCRYPTION_KEY, stored)


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Text that is encrypted in the database; can't be used in filters."""

    def from_db_value(self, value: str | None, *args: Any) -> str | None:
        """Decrypt a value from the database."""
        return None if value is None else decrypt(value)

    def get_prep_value(self, value: str | None) -> str | None:
        """Encrypt a value for the database."""
        return None if value is None else encrypt(value)


@lru_cache(maxsize=1024)
def _seal(key: str, text: str) -> str:
    # Cached, because all attempts of a webhook store the same headers.
    return encrypt(text)


def seal(value: Any) -> str:
    """Return a JSON value as the encrypted text that an EncryptedJSONField stores."""
    return _seal(settings.SIM_ENCRYPTION_KEY, json.dumps(value))


def unseal(stored: str) -> Any:
    """Return the decrypted value, or an empty object if the key has changed."""
    text = decrypt(stored)
    return json.loads(text) if text else {}


class EncryptedJSONField(models.JSONField):
    """JSON that is an encrypted JSON string in the database; can't be used in filters."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Decrypt a value from the database."""
        stored = super().from_db_value(value, expression, connection)
        # None where an outer join found no row.
        return unseal(stored) if isinstance(stored, str) else stored

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Encrypt a value for the database."""
        if value is not None and not hasattr(value, "as_sql"):
            value = seal(value)
        return super().get_db_prep_value(value, connection, prepared)
