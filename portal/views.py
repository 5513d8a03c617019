"""The views of the frame: who is signed in, and as which account."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from portal import acting, frame, pages, signin


@require_safe
def sign_in_by_link(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Sign in whoever has the printed link, once. Anybody may ask; the token decides."""
    user = signin.redeem(uid, token)
    if user is None:
        return pages.page(request, "link_used.html", status=403)
    login(request, user)
    return pages.see_other(settings.LOGIN_REDIRECT_URL)


def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in by name and password. Anybody may ask."""
    form = AuthenticationForm(request, request.POST or None)
    following = _local(request, request.POST.get("next") or request.GET.get("next") or "")
    if request.method == "POST" and form.is_valid():
        login(request, form.get_user())
        return pages.see_other(following)
    context = {"form": form, "next": following}
    return pages.page(request, "sign_in.html", context, status=400 if form.is_bound else 200)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session. Anybody may ask."""
    logout(request)
    return pages.see_other(settings.LOGIN_URL)


@require_POST
@frame.signed_in
def act_as(request: HttpRequest, reader: acting.Reader) -> HttpResponse:
    """Act as another account, for administrators; back to the page that asked."""
    if acting.choose(request, request.POST.get("account", "")) is None:
        return frame.nothing(request, reader)
    return pages.see_other(_local(request, request.POST.get("next", "")))


def _local(request: HttpRequest, address: str) -> str:
    """Return the address if it is a page of ours, else the first page."""
    ours = url_has_allowed_host_and_scheme(address, None) and address.startswith("/")
    return address if ours else settings.LOGIN_REDIRECT_URL
