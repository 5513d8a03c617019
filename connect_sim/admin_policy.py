"""The Content-Security-Policy of the Django admin: the portal's, since its pages need no more."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from portal import pages


def protect_admin(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Return a middleware that gives each response of the admin the policy."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path_info == "/admin" or request.path_info.startswith("/admin/"):
            response.headers.setdefault(pages.POLICY_HEADER, pages.POLICY)
        return response

    return middleware
