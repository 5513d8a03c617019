"""Drafts of the wizard: what was typed so far, stored between its steps.

A draft is a row of its own in the table of sessions: two tabs never write the same one, other
pages don't read it, and it expires as sessions do. It contains a secret, so it is encrypted. The
URL of a step contains its key, which works only for the user who started the draft.
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
from requests_queue.db import encryption
from webhooks.delivery.request import new_secret

LIFETIME = timedelta(days=1)


@dataclass
class Draft:
    """A webhook that is being created."""

    user: int
    account: str
    # The generated secret; a typed one is part of `typed`.
    secret: str = field(default_factory=new_secret, repr=False)
    # The submitted form of each step.
    typed: dict[str, str] = field(default_factory=dict, repr=False)
    # The steps that were submitted with Next or Create, and so show their errors.
    submitted: list[str] = field(default_factory=list)
    # The created webhook.
    webhook: str = ""
    key: str = ""

    def data(self, step: str) -> QueryDict | None:
        """Return the submitted form of a step, None before that."""
        return QueryDict(self.typed[step]) if step in self.typed else None

    def value(self, step: str, name: str) -> str:
        """Return a submitted value; empty before that."""
        data = self.data(step)
        return str(data.get(name, "")).replace("\0", "") if data is not None else ""

    def submit(self, step: str) -> None:
        """Show the errors of a step from now on."""
        if step not in self.submitted:
            self.submitted.append(step)


def new(viewer: Viewer) -> Draft:
    """Return a draft that is not stored yet."""
    return Draft(viewer.user.pk, viewer.account.pk)


def start(viewer: Viewer) -> Draft:
    """Return a draft with a key, and delete expired ones."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    draft = new(viewer)
    draft.key = get_random_string(32)
    return draft


def save(draft: Draft) -> None:
    """Store a draft for a day."""
    text = json.dumps({**asdict(draft), "key": None})
    values = {"session_data": encryption.encrypt(text), "expire_date": timezone.now() + LIFETIME}
    Session.objects.update_or_create(session_key=draft.key, defaults=values)


def find(viewer: Viewer, key: str, *, locked: bool = False) -> Draft | None:
    """Return an unexpired draft that the viewer started as this account."""
    # Real time: platform time may be moved forward while the user fills in the wizard.
    rows = Session.objects.filter(session_key=key, expire_date__gt=timezone.now())
    row = (rows.select_for_update() if locked else rows).first()
    draft = _decode(key, row.session_data) if row else None
    if draft is None or (draft.user, draft.account) != (viewer.user.pk, viewer.account.pk):
        return None
    return draft


def delete(draft: Draft) -> None:
    Session.objects.filter(session_key=draft.key).delete()


def _decode(key: str, stored: str) -> Draft | None:
    # Other rows of the table, such as sessions of users, can't be decrypted.
    text = encryption.decrypt_once(stored)
    try:
        return Draft(**{**json.loads(text), "key": key}) if text else None
    except TypeError:
        # Stored by another version of this program.
        return None
