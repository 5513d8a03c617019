"""Pages: HTML of a template, with the headers that keep a page to this server and its viewer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import shortcuts
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.gzip import GZipMiddleware
from django.utils.http import url_has_allowed_host_and_scheme

POLICY_HEADER = "Content-Security-Policy"
POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
_HEADERS = {
    POLICY_HEADER: POLICY,
    "Cache-Control": "no-store",
    # Addresses of pages may hold what lets their viewer in.
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}


# A list's rows are alike: its page takes a tenth of its length on the way. Django adds a random
# length, so that how long an answer is tells nothing of a secret in it.
_shorter = GZipMiddleware(lambda request: HttpResponse())


def render(
    request: HttpRequest, template: str, context: Mapping[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """Return a page, or a piece of one."""
    answer = _with_headers(shortcuts.render(request, f"portal/{template}", context, status=status))
    _shorter.process_response(request, answer)
    return answer


def not_found(request: HttpRequest) -> HttpResponse:
    """Return the page of an address that leads nowhere, or nowhere for its viewer."""
    return render(request, "not_found.html", status=404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return the page of a form that came without its token (Django's CSRF_FAILURE_VIEW)."""
    return render(request, "csrf.html", status=403)


def local_path(address: str) -> str:
    """Return the address of a page if it is one of ours, else nothing."""
    is_ours = address.startswith("/") and url_has_allowed_host_and_scheme(address, None)
    return address if is_ours else ""


def see_other(address: str) -> HttpResponse:
    """Return the answer of a form that is done with: another page, to be read by a GET."""
    return _with_headers(_SeeOther(address))


class _SeeOther(HttpResponseRedirect):
    status_code = 303


def _with_headers(answer: HttpResponse) -> HttpResponse:
    for name, value in _HEADERS.items():
        answer[name] = value
    return answer
