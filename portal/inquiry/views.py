"""`/forms/<id>?code=…`: the inquiring form. Public: the code is the permission."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from portal import markdown, pages
from portal.inquiry import form as forms
from portal.inquiry import subject, submission
from portal.inquiry.form import InquiryForm
from portal.inquiry.subject import Subject
from portal.inquiry.submission import Closed
from requests_queue.catalog.representations import icon
from requests_queue.queues.validation import Superseded


@require_http_methods(["GET", "HEAD", "POST"])
def inquiry(request: HttpRequest, pk: str) -> HttpResponse:
    """Show the form, or the status of a closed request; POST submits the answers."""
    about = subject.find(pk, request.GET.getlist("code"))
    if about is None:
        return pages.not_found(request)
    if request.method != "POST":
        return _page(request, about, forms.opened(about) if about.is_open else None)
    try:
        form = submission.submit(about, request.POST) if about.is_open else None
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
    about = subject.find(pk, request.GET.getlist("code"))
    if about is None:
        return pages.not_found(request)
    try:
        if not about.is_open:
            raise Closed
        form = submission.check(about, request.POST)
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
