"""A text column that is encrypted at rest, with the key of `SIM_ENCRYPTION_KEY`."""

from __future__ import annotations

from typing import Any

from django.db import models

from requests_queue.encryption import decrypt, decrypt_once, encrypt

__all__ = ["EncryptedTextField", "decrypt", "decrypt_once", "encrypt"]


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Plain in Python, encrypted in the database; can't be filtered by."""

    def from_db_value(self, value: str | None, *args: Any) -> str | None:
        """Decrypt what was read."""
        return None if value is None else decrypt(value)

    def get_prep_value(self, value: str | None) -> str | None:
        """Encrypt what is written."""
        return None if value is None else encrypt(value)
