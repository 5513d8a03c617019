"""Encryption at rest, with the key of `SIM_ENCRYPTION_KEY`."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


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
