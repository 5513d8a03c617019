"""The views of the pages."""

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from portal import signin


def sign_in_by_link(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Sign in whoever has the printed link, once. Anybody may ask; the token decides."""
    user = signin.redeem(uid, token)
    if user is None:
        return HttpResponse(
            "This sign-in link has been used, or is too old. Restart the sandbox, or run "
            "`connect-sim signin`, for a new one.\n",
            status=403,
            content_type="text/plain",
        )
    login(request, user)
    return redirect("/")
