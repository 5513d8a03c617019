"""The sessions of open pages, and which of them may still see their account.

Requests for parts of open pages can be answered without Django (`portal.live.shared_responses`), so
the sessions of an account are checked together, by the conditions of `portal.identity`: after each
part that is read, and before it is sent to any of them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from portal.identity import Viewer
from requests_queue.catalog.models import User


@dataclass(eq=False, slots=True)
class OpenSession:
    """A session with open pages; its user acts as the account that they belong to."""

    key: str
    user: int
    account: str
    # Monotonic time after which Django has last found it valid, for a new page.
    checked_at: float = 0.0
    pages: int = 0
    # The data of the session and the password, when they were last found to belong together.
    verified: tuple[str, str] | None = None

    def belongs_to(self, user: User, data: str) -> bool:
        """Whether the stored data is that of a session in which the user is signed in."""
        if self.verified == (data, user.password):
            return True
        content = SessionStore().decode(data)
        if content.get(SESSION_KEY) != str(self.user):
            return False
        # A new password ends the sessions of the old one.
        known = content.get(HASH_SESSION_KEY, "")
        if not constant_time_compare(known, user.get_session_auth_hash()):
            return False
        self.verified = (data, user.password)
        return True


class OpenSessions:
    """The sessions with open pages in this process; any thread may call it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._by_key: dict[str, OpenSession] = {}

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def add(self, key: str, viewer: Viewer, checked_at: float) -> OpenSession | None:
        """Count an open page of a viewer; None for an administrator, whose account is a choice."""
        if not key or viewer.user.is_superuser:
            return None
        with self._guard:
            session = self._by_key.get(key)
            if session is None or session.account != viewer.account.pk:
                session = self._by_key[key] = OpenSession(key, viewer.user.pk, viewer.account.pk)
            session.pages += 1
            session.checked_at = max(session.checked_at, checked_at)
        return session

    def remove(self, session: OpenSession) -> None:
        """Count the end of a page."""
        with self._guard:
            session.pages -= 1
            if not session.pages and self._by_key.get(session.key) is session:
                del self._by_key[session.key]

    def get(self, key: str) -> OpenSession | None:
        """Return a session; None if it has no open page."""
        return self._by_key.get(key)

    def valid(self, account: str) -> frozenset[str]:
        """Return the keys of an account's sessions that are valid now: two statements.

        The others are forgotten, until they open a page again.
        """
        with self._guard:
            sessions = [each for each in self._by_key.values() if each.account == account]
        stored = Session.objects.filter(
            pk__in=[each.key for each in sessions], expire_date__gt=timezone.now()
        )
        data = dict(stored.values_list("session_key", "session_data"))
        users = User.objects.filter(
            pk__in={each.user for each in sessions}, account=account,
            is_active=True, is_service=False, is_superuser=False,
        ).only("password").in_bulk()  # fmt: skip
        valid = {
            each.key
            for each in sessions
            if each.key in data
            and each.user in users
            and each.belongs_to(users[each.user], data[each.key])
        }
        with self._guard:
            for each in sessions:
                if each.key not in valid and self._by_key.get(each.key) is each:
                    del self._by_key[each.key]
        return frozenset(valid)


open_sessions = OpenSessions()
