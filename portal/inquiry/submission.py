"""Checking the form at each change, and submitting it.

Both wait for the vendor's handler, so neither runs in a transaction. The script does not wait for
a check before it starts the next one, so checks are numbered: only the newest one is stored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial

from django.db import transaction
from django.http import QueryDict
from django.utils.crypto import get_random_string

from portal.inquiry import form as forms
from portal.inquiry import values
from portal.inquiry.form import InquiryForm
from portal.inquiry.subject import Subject
from portal.models import InquiryCheck
from requests_queue import transitions
from requests_queue.errors import ActionNotAllowed, Missing, Refused
from requests_queue.queues import validation
from requests_queue.queues.validation import Superseded

# The error code of a validation that did not take place.
_UNAVAILABLE = "VAL_100"
_PAGE = re.compile(r"[A-Za-z0-9]{1,40}")
_NUMBER = re.compile(r"[0-9]{1,15}")
# Higher than the number of any check, so that none is stored after the form was submitted.
_SUBMITTED = 10**15


class Closed(Exception):
    """The request no longer waits for answers."""


def check(subject: Subject, post: QueryDict) -> InquiryForm:
    """Validate the typed values and return the form.

    Raises Closed, or Superseded if a newer check or the submitted form has replaced this one.
    """
    started = _start(subject, _read(post))
    if not started:
        raise Superseded(subject.row.pk)
    form = forms.submitted(subject, post)
    form.submitted = "submitted" in post
    form.check()
    _validate(form, started)
    if not form.submitted:
        form.show_errors_of(post.getlist("reached"))
    return form


def submit(subject: Subject, post: QueryDict) -> InquiryForm | None:
    """Submit the answers; return the form if it has errors, else None.

    An unreachable handler does not prevent submitting. Raises Closed.
    """
    _start(subject, _submission(post))
    form = forms.submitted(subject, post)
    form.submitted = True
    form.check()
    if form.errors:
        return form
    # Without a validation these values are not stored yet.
    entries = form.entries()
    _validate(form)
    if form.stored:
        form.check()
        entries = [values.current_entry(param) for param in form.writable()]
    if form.blocking() or form.other_errors:
        return form
    return None if _pend(form, entries) else form


def _validate(form: InquiryForm, check: Check | None = None) -> None:
    """Validate the form; raises Superseded if a newer check has replaced this one."""
    subject = form.subject
    before = forms.rules(subject.row.params)
    try:
        form.validated = validation.validate(
            subject.about, subject.row.pk, subject.about.body(form.entries()), subject.actor,
            partial(_is_latest, check) if check else lambda: True,
        )  # fmt: skip
    except (ActionNotAllowed, Missing):
        raise Closed from None
    except Superseded:
        raise  # a subclass of Refused, but no message for the customer
    except Refused as error:
        # Without a validation the values are kept in the form only.
        if error.code != _UNAVAILABLE:
            form.refuse(error.errors)
        return
    form.stored = True
    subject.row.refresh_from_db()
    after = forms.rules(subject.row.params)
    form.shown_ids |= {pk for pk, rule in after.items() if rule != before.get(pk)}
    form.keep_unstored()


def _pend(form: InquiryForm, entries: list[dict[str, object]]) -> bool:
    """Move the request back to pending, and return whether that succeeded."""
    subject = form.subject
    data = {**subject.about.body(entries), "code": subject.row.form_code}
    try:
        transitions.move(type(subject.row), subject.row.pk, "pend", subject.actor, data)
    except (ActionNotAllowed, Missing):
        raise Closed from None
    except Refused as error:
        form.refuse(error.errors)
        return False
    return True


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the load of the form that it belongs to, and its number there."""

    page: str
    number: int
    request_id: str = ""


def _read(post: QueryDict) -> Check:
    """Return which check of which page was posted; without a page it is the only one of its own."""
    page, number = post.get("page", ""), post.get("number", "")
    return Check(
        page if _PAGE.fullmatch(page) else get_random_string(20),
        int(number) if _NUMBER.fullmatch(number) else 0,
    )


def _submission(post: QueryDict) -> Check:
    """Return the submission of a page, which supersedes all of its checks."""
    return replace(_read(post), number=_SUBMITTED)


def _start(subject: Subject, check: Check) -> Check | None:
    """Record a check as the latest and read the request again; None if a newer one has started.

    Lock order: the request, then its row here. Holding the request's row means that an older
    check has either stored its values, which are read here, or finds itself superseded.
    """
    row = subject.row
    with transaction.atomic():
        subject.row = type(row)._default_manager.select_for_update().get(pk=row.pk)
        latest = InquiryCheck.objects.filter(pk=row.pk).first()
        if latest and latest.page == check.page and latest.number >= check.number:
            return None
        InquiryCheck.objects.update_or_create(
            pk=row.pk, defaults={"page": check.page, "number": check.number}
        )
    return replace(check, request_id=row.pk)


def _is_latest(check: Check) -> bool:
    """Whether no newer check has started; call with the request's row locked."""
    return InquiryCheck.objects.filter(
        pk=check.request_id, page=check.page, number=check.number
    ).exists()
