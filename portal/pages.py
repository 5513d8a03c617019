"""Responses of pages: rendered templates and redirects, with security and cache headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from django import shortcuts
from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.http import url_has_allowed_host_and_scheme

R = TypeVar("R", bound=HttpResponseBase)

POLICY_HEADER = "Content-Security-Policy"
POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
_HEADERS = {
    POLICY_HEADER: POLICY,
    "Cache-Control": "no-store",
    # URLs of pages can contain a token that grants access.
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}
# Rows of a list are alike, so gzip makes pages about ten times smaller. Django adds random bytes,
# so that the length reveals nothing about a secret in the page (BREACH).
_gzip = GZipMiddleware(lambda request: HttpResponse())


def render(
    request: HttpRequest, template: str, context: Mapping[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """Return a page or a part of one."""
    response = shortcuts.render(request, f"portal/{template}", context, status=status)
    _gzip.process_response(request, _with_headers(response))
    return response


def download(parts: Iterable[str], content_type: str, name: str) -> StreamingHttpResponse:
    """Return a file that is sent while it is written."""
    response = StreamingHttpResponse(parts, content_type=f"{content_type}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return _with_headers(response)


def empty(status: int = 204) -> HttpResponse:
    """Return a response without content."""
    return _with_headers(HttpResponse(status=status))


def not_found(request: HttpRequest) -> HttpResponse:
    """Return the page for 404 without the layout."""
    return render(request, "not_found.html", status=404)


def error(request: HttpRequest, status: int, message: str) -> HttpResponse:
    """Return the page of an error; it needs no database, which may be unavailable."""
    return render(request, "error.html", {"status": status, "message": message}, status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return the page for a missing or wrong CSRF token (CSRF_FAILURE_VIEW)."""
    return render(request, "csrf.html", status=403)


def local_path(address: str) -> str:
    """Return the address if it is a path on this server, else an empty string."""
    is_local = address.startswith("/") and url_has_allowed_host_and_scheme(address, None)
    return address if is_local else ""


def see_other(address: str) -> HttpResponse:
    """Redirect with 303, so that the browser follows a POST by a GET."""
    return _with_headers(_SeeOther(address))


class _SeeOther(HttpResponseRedirect):
    status_code = 303


def _with_headers(response: R) -> R:
    for name, value in _HEADERS.items():
        response[name] = value
    return response


class _MessageCookie(CookieStorage):
    cookie_name = settings.SIM_MESSAGES_COOKIE_NAME


class MessageStorage(FallbackStorage):
    """Django's default storage, with a cookie that no other sandbox uses (MESSAGE_STORAGE)."""

    storage_classes = (_MessageCookie, SessionStorage)
