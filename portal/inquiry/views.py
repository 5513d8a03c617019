"""`/forms/<id>?code=…`: the inquiring form. Public: the code is the permission.

Checking it at each change and submitting it wait for the vendor's handler, so neither runs in a
transaction. The script does not wait for a check before it starts the next one, so checks are
numbered: only the newest one is stored.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils.crypto import get_random_string
from django.views.decorators.http import require_http_methods, require_POST

from portal import markdown, pages
from portal.inquiry import form as forms
from portal.inquiry import values
from portal.inquiry.form import InquiryForm, Subject
from portal.models import InquiryCheck
from requests_queue.catalog.representations import icon
from requests_queue.errors import ActionNotAllowed, Missing, Refused
from requests_queue.queues import transitions, validation
from requests_queue.queues.validation import Superseded

# The error code of a validation that did not take place.
_UNAVAILABLE = "VAL_100"
_PAGE = re.compile(r"[A-Za-z0-9]{1,40}")
_NUMBER = re.compile(r"[0-9]{1,15}")
# Higher than the number of any check, so that none is stored after the form was submitted.
_SUBMITTED = 10**15


class Closed(Exception):
    """The request no longer waits for answers."""


@require_http_methods(["GET", "HEAD", "POST"])
def inquiry(request: HttpRequest, pk: str) -> HttpResponse:
    """Show the form, or the status of a closed request; POST submits the answers."""
    about = forms.find(pk, request.GET.getlist("code"))
    if about is None:
        return pages.not_found(request)
    if request.method != "POST":
        return _page(request, about, forms.opened(about) if about.is_open else None)
    try:
        form = _submit(about, request.POST) if about.is_open else None
    except Closed:
        form = None
    if form is None:
        return pages.see_other(_address(about, "inquiry"))
    return _page(request, about, form)


@require_POST
def check(request: HttpRequest, pk: str) -> HttpResponse:
    """Validate the typed values and return the form.

    409 if the request is closed, 204 if a newer check has replaced this one.
    """
    about = forms.find(pk, request.GET.getlist("code"))
    if about is None:
        return pages.not_found(request)
    try:
        if not about.is_open:
            raise Closed
        form = _check(about, request.POST)
    except Closed:
        return _page(request, about, None, status=409)
    except Superseded:
        return HttpResponse(status=204)
    context = {**_form(about, form), "status": _status(form)}
    return pages.render(request, "inquiry/form.html", context)


def _status(form: InquiryForm) -> str:
    if not form.stored:
        return "Your answers cannot be checked right now. You can still send them."
    errors = sum(bool(field.errors) for field in form.fields())
    if errors:
        return f"Checked. Correct {errors} answer{'s' if errors > 1 else ''}."
    return "Checked. All answers are valid." if form.validated else "Saved."


def _page(
    request: HttpRequest, about: Subject, form: InquiryForm | None, status: int = 200
) -> HttpResponse:
    row = about.row
    context: dict[str, Any] = {
        "product": row.product,
        "vendor": row.vendor,
        "icon": icon(row.product),
        "facts": about.facts(),
    }
    if form is None:
        # Texts of other statuses may not be meant for the holder of the link.
        text = about.text if row.status == "pending" else ""
        context |= {**about.closed(), "text": markdown.render(text)}
        return pages.render(request, "inquiry/closed.html", context, status)
    context |= {"text": markdown.render(about.text), **_form(about, form)}
    return pages.render(request, "inquiry/open.html", context, status)


def _form(about: Subject, form: InquiryForm) -> dict[str, Any]:
    fields, blocking = form.fields(), form.blocking() if form.submitted else set()
    return {
        "fields": fields,
        "other_errors": form.other_errors,
        "summary": [field for field in fields if field.id in blocking],
        "submitted": form.submitted,
        "action": _address(about, "inquiry"),
        "check": _address(about, "inquiry-check"),
    }


def _address(about: Subject, view: str) -> str:
    row = about.row
    return f"{reverse(view, args=[row.pk])}?{urlencode({'code': row.form_code})}"


def _check(subject: Subject, post: QueryDict) -> InquiryForm:
    """Validate the typed values and return the form.

    Raises Closed, or Superseded if a newer check or the submitted form has replaced this one.
    """
    check = _read(subject, post)
    if not _start(subject, check):
        raise Superseded(subject.row.pk)
    form = forms.submitted(subject, post)
    form.submitted = "submitted" in post
    form.check()
    _validate(form, check)
    if not form.submitted:
        form.show_errors_of(post.getlist("reached"))
    return form


def _submit(subject: Subject, post: QueryDict) -> InquiryForm | None:
    """Submit the answers; return the form if it has errors, else None.

    An unreachable handler does not prevent submitting. Raises Closed.
    """
    check = _read(subject, post)
    check.number = _SUBMITTED
    _start(subject, check)
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


def _validate(form: InquiryForm, check: InquiryCheck | None = None) -> None:
    """Validate the form; raises Superseded if a newer check has replaced this one."""
    subject = form.subject
    before = forms.rules(subject.row.params)
    try:
        form.validated = validation.validate(
            subject.about,
            subject.row.pk,
            subject.about.body(form.entries()),
            subject.actor,
            partial(_is_latest, check) if check else lambda: True,
        )
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


def _read(subject: Subject, post: QueryDict) -> InquiryCheck:
    """Return which check of which page was posted; without a page it is the only one of its own."""
    page, number = post.get("page", ""), post.get("number", "")
    return InquiryCheck(
        subject.row.pk,
        page if _PAGE.fullmatch(page) else get_random_string(20),
        int(number) if _NUMBER.fullmatch(number) else 0,
    )


def _start(subject: Subject, check: InquiryCheck) -> bool:
    """Record a check as the latest and read the request again; False if a newer one has started.

    Lock order: the request, then its row here. Holding the request's row means that an older
    check has either stored its values, which are read here, or finds itself superseded.
    """
    row = subject.row
    with transaction.atomic():
        subject.row = type(row)._default_manager.select_for_update().get(pk=row.pk)
        if InquiryCheck.objects.filter(
            pk=row.pk, page=check.page, number__gte=check.number
        ).exists():
            return False
        check.save()
    return True


def _is_latest(check: InquiryCheck) -> bool:
    """Whether no newer check has started; call with the request's row locked."""
    return InquiryCheck.objects.filter(pk=check.pk, page=check.page, number=check.number).exists()
