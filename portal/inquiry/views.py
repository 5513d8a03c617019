"""`/forms/<id>?code=…`: the page of an inquiry, for whoever has its link."""

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
    """Show the form, or where the request stands; a POST sends the answers."""
    found = subject.find(pk, request.GET.getlist("code"))
    if found is None:
        return pages.not_found(request)
    if request.method != "POST":
        return _page(request, found, forms.opened(found) if found.is_open else None)
    try:
        form = submission.submit(found, request.POST) if found.is_open else None
    except Closed:
        form = None
    if form is None:
        return pages.see_other(_address(found, "inquiry"))
    return _page(request, found, form)


@require_POST
def check(request: HttpRequest, pk: str) -> HttpResponse:
    """Validate the values typed so far and return the form.

    409 where the request is closed, 204 where a newer check has replaced this one.
    """
    found = subject.find(pk, request.GET.getlist("code"))
    if found is None:
        return pages.not_found(request)
    try:
        if not found.is_open:
            raise Closed
        form = submission.check(found, request.POST)
    except Closed:
        return _page(request, found, None, status=409)
    except Superseded:
        return HttpResponse(status=204)
    context = {**_form(found, form), "status": _status(form)}
    return pages.render(request, "inquiry/form.html", context)


def _status(form: InquiryForm) -> str:
    if not form.stored:
        return "Your answers could not be checked right now. You can still send them."
    wrong = sum(bool(field.problems) for field in form.fields())
    if wrong:
        return f"Checked. {wrong} answer{'s need' if wrong > 1 else ' needs'} another look."
    return "Checked. Nothing is wrong with your answers." if form.validated else "Saved."


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
        # What came after the inquiry may be for others than the holders of its link.
        text = about.text if row.status == "pending" else ""
        context |= {**about.closed(), "text": markdown.render(text)}
        return pages.render(request, "inquiry/standing.html", context, status)
    context |= {"text": markdown.render(about.text), **_form(about, form)}
    return pages.render(request, "inquiry/open.html", context, status)


def _form(about: Subject, form: InquiryForm) -> dict[str, Any]:
    shown, blocking = form.fields(), form.blocking() if form.sent else set()
    return {
        "fields": shown,
        "said": form.said,
        "summary": [field for field in shown if field.id in blocking],
        "sent": form.sent,
        "action": _address(about, "inquiry"),
        "check": _address(about, "inquiry-check"),
    }


def _address(about: Subject, view: str) -> str:
    row = about.row
    return f"{reverse(view, args=[row.pk])}?{urlencode({'code': row.form_code})}"
