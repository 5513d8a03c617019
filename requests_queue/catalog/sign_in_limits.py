"""Limits on failed sign-ins, for the sign-in forms of the portal and the admin.

After 5 failures of a name from an address, or 50 of an address, further attempts are refused for
a minute without checking the password. Attempts from other addresses do not count. Counts are in
the database, for all processes, and use its wall clock, so that moving platform time has no
effect. Names and addresses are stored as keyed hashes only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, Q
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from requests_queue.catalog import audit
from requests_queue.db.sql import DatabaseTime
from requests_queue.models import SignInTries

PAIR_LIMIT, ADDRESS_LIMIT = 5, 50
BLOCK = 60.0  # seconds for which attempts are refused
WINDOW = 600.0  # seconds after which older failures no longer count
_KEPT = 3600.0  # seconds after which a row is deleted

REFUSED, BUSY = "too_many_tries", "busy"
_MESSAGES = {
    REFUSED: "Too many failed sign-in attempts. Wait a minute, then try again.",
    BUSY: "Too many people are signing in. Try again in a few seconds.",
}

# A hash uses a CPU for 0.3 s: compute one at a time in a process, and let only a few threads wait,
# so that the others keep serving the API.
HASH_WAIT = 3.0  # seconds
_hashing = threading.BoundedSemaphore(1)
_waiting = threading.BoundedSemaphore(3)


class LimitedSignIn:
    """A mixin for Django's AuthenticationForm that counts and limits attempts."""

    request: HttpRequest | None
    cleaned_data: dict[str, Any]
    # Whether the attempt was refused without checking the password.
    refused = False

    def clean(self) -> dict[str, Any]:
        """Check name and password within the limits."""
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if name is None or not password:
            # Incomplete: the password is not checked.
            return super().clean()  # type: ignore[misc,no-any-return]
        address = self.request.META.get("REMOTE_ADDR", "") if self.request else ""
        network = _network(address)
        pair, whole = _key("pair", f"{network}\0{name}"), _key("address", network)
        if not _take(whole, ADDRESS_LIMIT):
            raise self._refuse(REFUSED)
        if not _take(pair, PAIR_LIMIT):
            _give_back(whole)
            raise self._refuse(REFUSED)
        with _hash_turn() as has_turn:
            if not has_turn:
                _give_back(whole)
                _give_back(pair)
                raise self._refuse(BUSY)
            # A failure raises ValidationError; it has been counted.
            found: dict[str, Any] = super().clean()  # type: ignore[misc]
        # A success does not clear the failures of other names from the address.
        _give_back(whole)
        SignInTries.objects.filter(key=pair).delete()
        return found

    def _refuse(self, code: str) -> ValidationError:
        self.refused = True
        if code == REFUSED:
            audit.sign_in_limited()
        return ValidationError(_MESSAGES[code], code=code)


def _key(kind: str, value: str) -> str:
    return salted_hmac(f"sign-in.{kind}", value, algorithm="sha256").hexdigest()


def _network(address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 client."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ip_network((found, 64), strict=False))
    return str(found)


def _take(key: str, limit: int) -> bool:
    """Count an attempt, and return whether it is within the limit.

    Called before the password is checked, so that concurrent attempts are limited, too.
    """
    now = DatabaseTime()
    _, is_new = SignInTries.objects.get_or_create(key=key, defaults={"tries": 0, "at": now})
    if is_new:
        SignInTries.objects.filter(at__lt=now - _KEPT).delete()
    row = SignInTries.objects.filter(key=key)
    over = Q(tries__gte=limit, at__lt=now - BLOCK) | Q(tries__lt=limit, at__lt=now - WINDOW)
    if row.filter(over).update(tries=1, at=now):
        return True
    return bool(row.filter(tries__lt=limit).update(tries=F("tries") + 1, at=now))


def _give_back(key: str) -> None:
    """Uncount an attempt that was not a failure."""
    SignInTries.objects.filter(key=key, tries__gt=0).update(tries=F("tries") - 1)


@contextmanager
def _hash_turn() -> Iterator[bool]:
    """Wait for the turn to hash a password; yield False if too many threads wait."""
    if not _waiting.acquire(blocking=False):
        yield False
        return
    try:
        if not _hashing.acquire(timeout=HASH_WAIT):
            yield False
            return
        try:
            yield True
        finally:
            _hashing.release()
    finally:
        _waiting.release()
