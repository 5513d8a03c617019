"""Encryption at rest, with the keys of `SIM_ENCRYPTION_KEY`: of texts, and of model fields.

The first key encrypts, each of them decrypts. `requests_queue.db.reencryption` replaces older ones.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


@lru_cache(maxsize=4)
def _boxes(keys: str) -> list[Fernet]:
    parts = [key.strip() for key in keys.split(",") if key.strip()]
    # A key of an older version may contain commas: the whole text decrypts, too.
    # Derived, so that any text can be a key.
    return [
        Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))
        for key in (parts if keys in parts else [*parts, keys])
    ]


def encrypt(text: str) -> str:
    """Return the text, encrypted and authenticated."""
    return _boxes(settings.SIM_ENCRYPTION_KEY)[0].encrypt(text.encode()).decode()


def is_current(stored: str) -> bool:
    """Return whether the first key decrypts the text."""
    try:
        _boxes(settings.SIM_ENCRYPTION_KEY)[0].decrypt(stored.encode())
    except InvalidToken:
        return False
    return True


def reencrypt(stored: str) -> str | None:
    """Return the text encrypted with the first key, or None if no key decrypts it."""
    try:
        return MultiFernet(_boxes(settings.SIM_ENCRYPTION_KEY)).rotate(stored.encode()).decode()
    except InvalidToken:
        return None


def _read(keys: str, stored: str) -> str:
    try:
        return MultiFernet(_boxes(keys)).decrypt(stored.encode()).decode()
    except InvalidToken:
        # One unreadable secret must not stop the deliveries of other webhooks: an attempt
        # without a secret fails with a message.
        return ""


_open = lru_cache(maxsize=4096)(_read)


def decrypt(stored: str) -> str:
    """Return the decrypted text; empty if no key decrypts it."""
    return _open(settings.SIM_ENCRYPTION_KEY, stored)


def decrypt_once(stored: str) -> str:
    """Return the decrypted text without caching it, for large texts that are rarely read."""
    return _read(settings.SIM_ENCRYPTION_KEY, stored)


class CiphertextField(models.TextField):  # type: ignore[type-arg]
    """Text that the program encrypts and decrypts itself; to migrations it is a text."""

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        """Return the field as migrations have it."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Text that is encrypted in the database; can't be used in filters."""

    def from_db_value(self, value: str | None, *args: Any) -> str | None:
        """Decrypt a value from the database."""
        return None if value is None else decrypt(value)

    def get_prep_value(self, value: str | None) -> str | None:
        return None if value is None else encrypt(value)


@lru_cache(maxsize=1024)
def _seal(key: str, text: str) -> str:
    # Cached, because all attempts of a webhook store the same headers.
    return encrypt(text)


def seal(value: Any) -> str:
    """Return a JSON value as the encrypted text that an EncryptedJSONField stores."""
    return _seal(settings.SIM_ENCRYPTION_KEY, json.dumps(value))


def unseal(stored: str) -> Any:
    """Return the decrypted value, or an empty object if no key decrypts it."""
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
        if value is not None and not hasattr(value, "as_sql"):
            value = seal(value)
        return super().get_db_prep_value(value, connection, prepared)
