"""What happens to what was typed: a check at each change, and the answer that is sent.

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

# Refused with this, a validation is one that didn't take place.
_UNAVAILABLE = "VAL_100"


class Closed(Exception):
    """The request waits for no answer any more."""


def check(subject: Subject, post: QueryDict) -> InquiryForm:
    """Have what was typed so far validated; return the form as it is then.

    Raises Closed, or Superseded where a newer check or the submitted form has replaced this one.
    """
    started = ordering.start(subject, ordering.read(post))
    if not started:
        raise Superseded(subject.row.pk)
    form = forms.sent(subject, post)
    form.sent = "sent" in post
    form.check()
    _validate(form, started)
    if not form.sent:
        form.mute(post.getlist("reached"))
    return form


def submit(subject: Subject, post: QueryDict) -> InquiryForm | None:
    """Send the answers; return the form where something is wrong with them, else None.

    A handler that can't be reached doesn't block it. Raises Closed.
    """
    ordering.start(subject, ordering.submission(post))
    form = forms.sent(subject, post)
    form.sent = True
    form.check()
    if form.wrong:
        return form
    # The values of a validation that didn't take place are still to be written.
    entries = form.entries()
    _validate(form)
    if form.stored:
        form.check()
        entries = [values.held(param) for param in form.writable()]
    if form.blocking() or form.said:
        return form
    return None if _pend(form, entries) else form


def _validate(form: InquiryForm, check: Check | None = None) -> None:
    """Have the form validated; a check that a newer one has replaced raises Superseded."""
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
    form.asked |= {pk for pk, rule in after.items() if rule != before.get(pk)}
    form.forget_stored()


def _pend(form: InquiryForm, entries: list[dict[str, object]]) -> bool:
    """Move the request back to pending; whether nothing was refused."""
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
