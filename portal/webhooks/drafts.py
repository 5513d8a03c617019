"""What was typed into the wizard so far, kept here between its steps.

A draft is a row of the sessions' table, of its own: two tabs never write the same one, no other
page reads it, and it expires as sessions do. It holds a secret, so it is encrypted as webhooks'
secrets are; the address of a step has its key, which is of use to the one who began it only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import timedelta

from django.contrib.sessions.models import Session
from django.http import QueryDict
from django.utils import timezone
from django.utils.crypto import get_random_string

from portal.identity import Viewer
from webhooks import encrypted_fields
from webhooks.delivery.request import new_secret

KEPT_FOR = timedelta(days=1)


@dataclass
class Draft:
    """A webhook in the making."""

    user: int
    account: str
    # The one that is offered; what was typed in its place stands with the rest.
    secret: str = field(default_factory=new_secret, repr=False)
    # What was sent of each step, as it was sent.
    typed: dict[str, str] = field(default_factory=dict, repr=False)
    # The steps whose errors are told: those that somebody tried to leave forwards.
    told: list[str] = field(default_factory=list)
    # The webhook that has come of it.
    webhook: str = ""
    key: str = ""

    def data(self, step: str) -> QueryDict | None:
        """Return what was sent of a step, None before that."""
        return QueryDict(self.typed[step]) if step in self.typed else None

    def tell(self, step: str) -> None:
        """Have the errors of a step told from now on."""
        if step not in self.told:
            self.told.append(step)


def blank(viewer: Viewer) -> Draft:
    """Return a draft that is kept nowhere yet."""
    return Draft(viewer.user.pk, viewer.account.pk)


def begin(viewer: Viewer) -> Draft:
    """Begin to keep a draft; those that have expired go."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    draft = blank(viewer)
    draft.key = get_random_string(32)
    return draft


def save(draft: Draft) -> None:
    """Keep a draft as it is, for a day from now."""
    values = {"session_data": _written(draft), "expire_date": timezone.now() + KEPT_FOR}
    Session.objects.update_or_create(session_key=draft.key, defaults=values)


def find(viewer: Viewer, key: str, *, locked: bool = False) -> Draft | None:
    """Return a draft that the viewer began as this account, and that hasn't expired."""
    # Real time: a draft is a person's at the browser, not the platform's.
    rows = Session.objects.filter(session_key=key, expire_date__gt=timezone.now())
    row = (rows.select_for_update() if locked else rows).first()
    draft = _read(key, row.session_data) if row else None
    if draft is None or (draft.user, draft.account) != (viewer.user.pk, viewer.account.pk):
        return None
    return draft


def drop(draft: Draft) -> None:
    """Forget a draft."""
    Session.objects.filter(session_key=draft.key).delete()


def _written(draft: Draft) -> str:
    return encrypted_fields.encrypt(json.dumps({**asdict(draft), "key": None}))


def _read(key: str, stored: str) -> Draft | None:
    # Anything else in that table, a sign-in's session above all, can't be decrypted.
    text = encrypted_fields.decrypt_once(stored)
    try:
        return Draft(**{**json.loads(text), "key": key}) if text else None
    except TypeError:
        # Kept by another version of this program.
        return None
