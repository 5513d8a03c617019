"""Answers to requests whose body the web server has not received (`server.django_app`)."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from connect_sim.api.auth import SCHEME, ApiKeyAuthentication
from connect_sim.api.errors import UNAUTHORIZED, envelope, is_api
from connect_sim.server.bodies import LARGE
from connect_sim.server.django_app import BODY, TOO_LARGE
from portal import pages


def refuse_bodies(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Return a middleware that refuses a body: 413, or 401 for a large one without a valid key.

    It goes below the middleware that knows who is signed in to the pages.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        question = request.META.get(BODY)
        if question is None:
            return get_response(request)
        if question == TOO_LARGE:
            return _refusal(request, f"The request body is larger than {_size(_most())}.")
        if is_api(request):
            return HttpResponse(status=204) if _has_valid_key(request) else _unauthorized()
        if isinstance(request.user, AnonymousUser):
            text = f"Sign in first: without that a request body may have {_size(LARGE)}."
            return _refusal(request, text)
        return HttpResponse(status=204)

    return middleware


def _has_valid_key(request: HttpRequest) -> bool:
    try:
        return ApiKeyAuthentication().authenticate(Request(request)) is not None
    except AuthenticationFailed:
        return False


def _unauthorized() -> HttpResponse:
    code, [text] = UNAUTHORIZED
    response = envelope(401, code, text)
    response["WWW-Authenticate"] = SCHEME
    return response


def _refusal(request: HttpRequest, text: str) -> HttpResponse:
    if is_api(request):
        return envelope(413, "REQ_413", text)
    return pages.error(request, 413, text)


def _most() -> int:
    most: int = settings.SIM_MAX_BODY
    return most


def _size(size: int) -> str:
    for unit, name in ((1024 * 1024, "MiB"), (1024, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"
