"""The views of the frame: who is signed in, by which password, and as which account."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from portal import identity, layout, pages, sign_in_forms, signin
from requests_queue.catalog import sign_in_limits


# Not by HEAD, which whoever only looks at links sends.
@require_GET
def sign_in_by_link(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Sign in whoever has the printed link, once. Anybody may ask; the token decides."""
    user = signin.redeem(uid, token)
    if user is None:
        return pages.render(request, "link_used.html", status=403)
    login(request, user)
    return pages.see_other(settings.LOGIN_REDIRECT_URL)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in by name and password. Anybody may ask."""
    following = (
        pages.local_path(request.POST.get("next") or request.GET.get("next") or "")
        or settings.LOGIN_REDIRECT_URL
    )
    if request.method != "POST" and identity.get_viewer(request) is not None:
        return pages.see_other(following)
    form = sign_in_forms.SignIn(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.get_user())
        return pages.see_other(following)
    context = {"form": form, "next": following, "is_sandbox": settings.SANDBOX}
    if form.refused:
        answer = pages.render(request, "sign_in.html", context, status=429)
        answer["Retry-After"] = f"{sign_in_limits.BLOCK:.0f}"
        return answer
    return pages.render(request, "sign_in.html", context, status=400 if form.is_bound else 200)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session. Anybody may ask."""
    logout(request)
    return pages.see_other(settings.LOGIN_URL)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@layout.signed_in
def password(request: HttpRequest, viewer: identity.Viewer) -> HttpResponse:
    """Set one's own password, for whoever is signed in; other sessions of theirs end."""
    form = sign_in_forms.password_form(viewer.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        update_session_auth_hash(request, form.save())
        messages.success(request, f"Your password is set. Your name is {viewer.user.username}.")
        return pages.see_other(reverse("password"))
    context = {"form": form, "has_one": viewer.user.has_usable_password()}
    return layout.render(request, viewer, "password.html", context, 400 if form.is_bound else 200)


@require_POST
@layout.signed_in
def act_as(request: HttpRequest, viewer: identity.Viewer) -> HttpResponse:
    """Act as another account, for administrators; back to the page that asked."""
    if identity.act_as(request, request.POST.get("account", "")) is None:
        return layout.not_found(request, viewer)
    return pages.see_other(
        pages.local_path(request.POST.get("next", "")) or settings.LOGIN_REDIRECT_URL
    )
