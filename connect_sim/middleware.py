"""Middleware: refused requests, policies, and a warning."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.admindocs.views import simplify_regex
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from connect_sim.api.auth import SCHEME, ApiKeyAuthentication
from connect_sim.api.errors import UNAUTHORIZED, envelope, is_api
from connect_sim.server.bodies import LARGE
from connect_sim.server.django_app import MAY_WAIT, NOT_YET, SUBMIT, TOO_LARGE
from portal import layout, pages
from portal.inquiry import form
from requests_queue import operations
from requests_queue.catalog.models import User
from requests_queue.queues.usage_file import processing

logger = logging.getLogger(__name__)

_WARNINGS = 3
# Only these: a Host header could contain anything.
_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\]):([0-9]{1,5})")
_NUL = "The request contains a NUL character."

GetResponse = Callable[[HttpRequest], HttpResponse]


def refuse_nul(get_response: GetResponse) -> GetResponse:
    """Return a middleware that refuses NUL characters, which no database stores, with 400."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            if is_api(request):
                return envelope(request, 400, "VAL_001", _NUL)
            return pages.error(request, 400, _NUL)
        return get_response(request)

    return middleware


def add_version(get_response: GetResponse) -> GetResponse:
    """Return a middleware that adds Connect's version to all responses of an API.

    `ccli --version` and connect-extension-runner read the header. The web server adds it to
    responses of its own.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if is_api(request):
            response["Connect-Version"] = settings.SIM_CONNECT_VERSION
        return response

    return middleware


def note_route(get_response: GetResponse) -> GetResponse:
    """Return a middleware that notes the pattern of a request's URL, for its span."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        operation = operations.current()
        if operation is not None and request.resolver_match is not None:
            operation.route = _route(request.resolver_match.route)
        return response

    return middleware


@lru_cache(maxsize=1024)
def _route(pattern: str) -> str:
    """Return the pattern of a URL without regular expressions: `/public/v1/requests/<pk>`."""
    route: str = simplify_regex(pattern)
    return route


def warn_of_published_port(get_response: GetResponse) -> GetResponse:
    """Return a middleware of a container that warns if links name another port.

    A container does not know which port is published. A request for a loopback address with a port
    that no setting has tells it. Each port is named once, and only the first few are.
    """
    urls = (settings.SIM_PUBLIC_URL, settings.SIM_API_URL, settings.LOCAL_URL)
    known = {urlsplit(url).port or 80 for url in urls}
    most = len(known) + _WARNINGS

    def middleware(request: HttpRequest) -> HttpResponse:
        match = _LOOPBACK.fullmatch(request.META.get("HTTP_HOST", ""))
        if match and int(match[2]) not in known and len(known) < most:
            known.add(int(match[2]))
            url = f"http://{match[0]}"
            logger.warning(
                "Requests arrive at %s, but links and api_url have %s. If that is the published "
                "port, set SIM_PUBLIC_URL=%s.",
                url,
                settings.SIM_PUBLIC_URL,
                url,
            )
        return get_response(request)

    return middleware


def protect_admin(get_response: GetResponse) -> GetResponse:
    """Return a middleware that gives responses of the admin the portal's content policy."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path_info == "/admin" or request.path_info.startswith("/admin/"):
            response.headers.setdefault(pages.POLICY_HEADER, pages.POLICY)
        return response

    return middleware


def answer_questions(get_response: GetResponse) -> GetResponse:
    """Return a middleware that decides what the client of a request without its body may do.

    The web server asks by `operations.QUESTION` in the environment.
    Returns 204 for yes, or a refusal: 413 for a body, 401 from an API without a valid API key, 404
    from a form without its code. The yes to a submit of a usage file that the caller sees has the
    header NOT_YET as long as the file is being read. Requires the authentication middleware before.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        question = request.META.get(operations.QUESTION)
        if question is None:
            return get_response(request)
        if question == TOO_LARGE:
            limit = _format_size(settings.SIM_MAX_BODY)
            return _too_large(request, f"The request body is larger than {limit}.")
        if is_api(request):
            user = _key_user(request)
            if user is None:
                return _unauthorized(request)
            submit = SUBMIT.search(request.path_info)
            is_pending = (
                submit is not None
                and user.account is not None
                and processing.is_pending(submit[1], user.account)
            )
            return HttpResponse(status=204, headers={NOT_YET: "true"} if is_pending else None)
        if question == MAY_WAIT and request.path_info.startswith("/forms/"):
            pk, codes = request.path_info.split("/")[2], request.GET.getlist("code")
            return HttpResponse(status=204) if form.find(pk, codes) else pages.not_found(request)
        if not isinstance(request.user, AnonymousUser):
            return HttpResponse(status=204)
        if question == MAY_WAIT:
            return layout.without_viewer(request)
        limit = _format_size(LARGE)
        return _too_large(request, f"Sign in to send a request body larger than {limit}.")

    return middleware


def _key_user(request: HttpRequest) -> User | None:
    """Return the service user of the API key, None without a valid one."""
    try:
        found = ApiKeyAuthentication().authenticate(Request(request))
    except AuthenticationFailed:
        return None
    return found[0] if found else None


def _unauthorized(request: HttpRequest) -> HttpResponse:
    code, [text] = UNAUTHORIZED
    response = envelope(request, 401, code, text)
    response["WWW-Authenticate"] = SCHEME
    return response


def _too_large(request: HttpRequest, text: str) -> HttpResponse:
    if is_api(request):
        return envelope(request, 413, "REQ_413", text)
    return pages.error(request, 413, text)


def _format_size(size: int) -> str:
    for unit, name in ((1024 * 1024, "MiB"), (1024, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"
