"""Checking the form at each change, and submitting it.

Both wait for the vendor's handler, so neither runs in a transaction.
"""

from __future__ import annotations

from functools import partial

from django.http import QueryDict

from portal.inquiry import form as forms
from portal.inquiry import ordering, values
from portal.inquiry.form import InquiryForm
from portal.inquiry.ordering import Check
from portal.inquiry.subject import Subject
from requests_queue import transitions
from requests_queue.errors import ActionNotAllowed, Missing, Refused
from requests_queue.queues import validation
from requests_queue.queues.validation import Superseded

# The error code of a validation that did not take place.
_UNAVAILABLE = "VAL_100"


class Closed(Exception):
    """The request no longer waits for answers."""


def check(subject: Subject, post: QueryDict) -> InquiryForm:
    """Validate the typed values and return the form.

    Raises Closed, or Superseded if a newer check or the submitted form has replaced this one.
    """
    started = ordering.start(subject, ordering.read(post))
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
    ordering.start(subject, ordering.submission(post))
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
            partial(ordering.is_latest, check) if check else lambda: True,
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
