"""Views of Home: system status, the last hour, failing webhooks, and the first steps."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.home import failing, first_steps, last_hour, starts, system_status
from portal.home.starts import Start
from portal.identity import Viewer
from requests_queue import clock, jobs
from requests_queue.catalog import audit
from requests_queue.catalog.models import Account
from webhooks import actions
from webhooks.types import EVENT

_MAX_FAILING = 10
_HIDDEN = "first_steps_hidden"


@layout.signed_in("GET")
def home(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show Home of the viewer's account."""
    context = _context(viewer.account)
    is_hidden = request.session.get(_HIDDEN) and "start" not in request.GET
    if "start" in request.GET or (context["progress"].is_incomplete and not is_hidden):
        context["start"] = _start(request, viewer.account)
    return layout.render(request, viewer, "home/home.html", context)


@layout.signed_in("POST")
def reveal(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the commands of the first steps with their secrets in this response, and record that."""
    start = _start(request, viewer.account, is_revealed=True)
    audit.record(audit.Action.KEY_REVEAL, "account", viewer.account.pk, account=viewer.account.pk)
    viewer.record(viewer.account, "Revealed an API key and a JWT secret in the first steps.")
    if layout.is_htmx(request):
        context = {"start": start, "progress": first_steps.progress(viewer.account)}
        return layout.render(request, viewer, "home/steps.html", context)
    context = _context(viewer.account) | {"start": start}
    return layout.render(request, viewer, "home/home.html", context)


@layout.signed_in("POST")
def create_webhook(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Create the webhook of the first steps, unless there is one."""
    start = _start(request, viewer.account)
    if start.tools is None or start.product is None:
        return pages.see_other(reverse("webhook-new"))
    if start.webhook is None:
        actions.create(
            viewer.account,
            viewer.user,
            {
                "label": starts.LABEL,
                "product": start.product,
                "type": EVENT,
                "object_class": "fulfillment_request",
                "external_url": start.url,
                "jwt_secret": start.secret,
            },
        )
        messages.success(request, "Webhook created.")
    return pages.see_other(f"{reverse('home')}?{urlencode({'start': start.key})}")


@layout.signed_in("POST")
def hide_steps(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Hide the first steps in this session."""
    request.session[_HIDDEN] = True
    return pages.see_other(reverse("home"))


@layout.signed_in("GET")
def live(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Return the part of Home that htmx polls."""
    return layout.render(request, viewer, "home/live.html", _context(viewer.account))


def _context(account: Account) -> dict[str, Any]:
    now = clock.now()
    return {
        "components": system_status.components(),
        "failed_jobs": jobs.failures(),
        "chart": last_hour.build_chart(last_hour.last_hour(account, now)),
        "failing": failing.webhooks(account, _MAX_FAILING + 1, now),
        "max_failing": _MAX_FAILING,
        "progress": first_steps.progress(account),
    }


def _start(request: HttpRequest, account: Account, *, is_revealed: bool = False) -> Start:
    # The reader's own terminal reaches the server as the browser does.
    server = request.build_absolute_uri("/").rstrip("/")
    chosen = request.POST.get("start") or request.GET.get("start", "")
    return Start(account, chosen, server, is_revealed)
