"""All addresses: the API of every room below `/public/v1`, the admin, the portal, the sandbox."""

import sys
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from connect_sim.api import errors, published
from connect_sim.api.errors import envelope, is_api
from portal import layout, pages


class Nothing(APIView):
    """Any other path of an API: 401 without a key, else 404, in Connect's envelope."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate first, as every path does."""
        super().initial(request, *args, **kwargs)
        raise NotFound(f"There is nothing at {request.path}.")

    def get(self, request: Request, **kwargs: Any) -> Response:
        """Never reached; makes the view answer all methods alike."""
        raise NotFound

    post = put = patch = delete = get


def _api_urls() -> list[Any]:
    """Return the patterns of each room that has an `api` module."""
    found: list[Any] = []
    for config in apps.get_app_configs():
        if config.name.startswith(("requests_queue.", "webhooks")):
            try:
                found += import_module(f"{config.name}.api").urlpatterns
            except ModuleNotFoundError as error:
                if error.name != f"{config.name}.api":
                    raise
    return found


urlpatterns = [
    path("public/v1/", include([*published.api_urlpatterns, *_api_urls()])),
    re_path(r"^public(/.*)?$", Nothing.as_view()),
    *published.urlpatterns,
    path("admin/", admin.site.urls),
    path("", include("portal.urls")),
]
if settings.SANDBOX:
    urlpatterns += [
        path("sandbox/", include("sandbox.urls")),
        re_path(r"^sandbox(/.*)?$", Nothing.as_view()),
    ]


def _page(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
    if is_api(request):
        return envelope(status, code, message)
    return pages.error(request, status, message)


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that Django refuses before any view."""
    return _page(request, 400, "VAL_001", "The request is malformed.")


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page that isn't the user's."""
    return _page(request, 403, "AUTH_002", "You don't have permission to do this.")


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the error for an unknown path."""
    if is_api(request):
        return envelope(404, "NFND_000", "There is nothing here.")
    return layout.not_found(request)


def handler500(request: HttpRequest) -> HttpResponse:
    """Answer 503 while the database is unavailable; any other failure is ours, and is logged."""
    # Django calls this while it handles the exception.
    error = sys.exc_info()[1]
    if error is not None and (response := errors.unavailable(request, error)):
        return response
    return _page(request, 500, "SYS_001", "The sandbox failed in an unexpected way.")
