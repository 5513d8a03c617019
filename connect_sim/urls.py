"""URLs of the API below `/public/v1`, the admin, the portal and the sandbox."""

import sys
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from connect_sim.api import errors, schema_views
from connect_sim.api.errors import envelope, is_api
from connect_sim.api.root import Root
from portal import layout, pages


class UnknownPath(APIView):
    """Any other path of an API: 401 without an API key, otherwise 404, in Connect's envelope."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate before raising 404."""
        super().initial(request, *args, **kwargs)
        raise NotFound(f"Unknown path {request.path}.")

    def get(self, request: Request, **kwargs: Any) -> Response:
        """Never called; defined so that all methods are allowed."""
        raise NotFound

    post = put = patch = delete = get


def _api_urls() -> list[Any]:
    """Return the patterns of each app with an `api` module."""
    patterns: list[Any] = []
    for config in apps.get_app_configs():
        if config.name.startswith(("requests_queue.", "webhooks", "extensions")):
            try:
                patterns += import_module(f"{config.name}.api").urlpatterns
            except ModuleNotFoundError as error:
                if error.name != f"{config.name}.api":
                    raise
    return patterns


# Before the patterns of the admin, which has those of the models that are registered.
admin.autodiscover()
urlpatterns = [
    path("public/v1", Root.as_view()),
    path("public/v1/", include([*schema_views.api_urlpatterns, *_api_urls()])),
    re_path(r"^public(/.*)?$", UnknownPath.as_view()),
    *schema_views.urlpatterns,
    path("admin/", admin.site.urls),
    path("", include("portal.urls")),
]
if settings.SANDBOX:
    urlpatterns += [
        path("", include("sandbox.urls")),
        re_path(r"^sandbox(/.*)?$", UnknownPath.as_view()),
    ]


def _error(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
    if is_api(request):
        return envelope(request, status, code, message)
    return pages.error(request, status, message)


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return 400 for a request that Django refuses before any view."""
    text = "The request is malformed."
    if isinstance(exception, DisallowedHost):
        text = "The host name of the URL is not accepted. Add it to SIM_ALLOWED_HOSTS."
    return _error(request, 400, "VAL_001", text)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return 403 for a page without permission."""
    return _error(request, 403, "AUTH_002", "You don't have permission to do this.")


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return 404 for an unknown path."""
    if is_api(request):
        return envelope(request, 404, "NFND_000", "Unknown path.")
    return layout.not_found(request)


def handler500(request: HttpRequest) -> HttpResponse:
    """Return 503 while the database is unavailable, otherwise 500."""
    # Django calls this in its exception handler.
    error = sys.exc_info()[1]
    if error is not None and (response := errors.unavailable(request, error)):
        return response
    return _error(request, 500, "SYS_001", "Unexpected error. See the log of the sandbox.")
