"""Views of signing in and out, the password, and the account that an administrator acts as."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from portal import alarms, identity, layout, pages
from portal import sign_in as forms
from portal.identity import Viewer
from requests_queue.catalog import sign_in_limits


# HEAD is refused: link previews send it, and it would use up the link.
@require_GET
def sign_in_by_link(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Sign in by a link that works once. Public: the token is the permission."""
    user = forms.redeem(uid, token)
    if user is None:
        return pages.render(request, "link_used.html", status=403)
    login(request, user)
    return pages.see_other(_next(request))


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in by user name and password. Public."""
    target = _next(request)
    if request.method != "POST" and identity.get_viewer(request) is not None:
        return pages.see_other(target)
    form = forms.SignInForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.get_user())
        return pages.see_other(target)
    context = {
        "form": form,
        "next": target,
        "is_sandbox": settings.SANDBOX,
        "has_administrator": settings.SANDBOX or forms.has_administrator(),
    }
    status = 429 if form.refused else 400 if form.is_bound else 200
    response = pages.render(request, "sign_in.html", context, status)
    if form.refused:
        response["Retry-After"] = f"{sign_in_limits.BLOCK:.0f}"
    return response


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session. Public."""
    logout(request)
    return pages.see_other(settings.LOGIN_URL)


@sensitive_post_parameters()
@layout.signed_in("GET", "POST")
def password(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Set the viewer's own password and end their other sessions."""
    form = forms.password_form(viewer.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        update_session_auth_hash(request, form.save())
        messages.success(request, f"Password saved. Your user name is {viewer.user.username}.")
        return pages.see_other(reverse("password"))
    context = {"form": form, "has_password": viewer.user.has_usable_password()}
    return layout.render(request, viewer, "password.html", context, 400 if form.is_bound else 200)


@layout.signed_in("POST")
def act_as(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Act as another account and return to the previous page. Administrators only."""
    if identity.act_as(request, request.POST.get("account", "")) is None:
        return layout.not_found(request)
    return pages.see_other(_next(request))


@layout.signed_in("POST")
def dismiss_alarms(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Hide the notice of webhooks that are out of order, and return to the previous page."""
    alarms.dismiss(request, viewer.account)
    return pages.see_other(_next(request))


def _next(request: HttpRequest) -> str:
    """Return the local page to continue on, Home by default."""
    requested = request.POST.get("next") or request.GET.get("next") or ""
    return pages.local_path(requested) or settings.LOGIN_REDIRECT_URL
