"""Views of Home: system status, the last hour, failing webhooks, and the first steps."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from portal import layout
from portal.home import first_steps, last_hour, system_status
from portal.identity import Viewer
from requests_queue import clock, first_order, jobs
from requests_queue.catalog.models import Account
from webhooks import webhook_health
from webhooks.delivery.next_attempt import WorkerLoad

_MAX_FAILING = 10


@layout.signed_in("GET")
def home(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show Home of the viewer's account."""
    context = _context(viewer.account)
    if context["progress"].is_incomplete:
        context |= _first_steps(request, viewer.account)
    return layout.render(request, viewer, "home/home.html", context)


@layout.signed_in("GET")
def live(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Return the part of Home that htmx polls."""
    return layout.render(request, viewer, "home/live.html", _context(viewer.account))


def _context(account: Account) -> dict[str, Any]:
    now, load = clock.now(), WorkerLoad()
    failing = webhook_health.failing(account, _MAX_FAILING + 1)
    return {
        "components": system_status.components(),
        "failed_jobs": jobs.failures(),
        "chart": last_hour.build_chart(webhook_health.last_hour(account, now)),
        "failing": [(each, each.next(now, load)) for each in failing],
        "max_failing": _MAX_FAILING,
        "progress": first_steps.progress(account),
    }


def _first_steps(request: HttpRequest, account: Account) -> dict[str, Any]:
    body = first_order.body(account)
    # The reader's own terminal reaches the server as the browser does.
    url = request.build_absolute_uri("/").rstrip("/")
    return {
        "ready": next(iter(first_steps.READY_HANDLERS), None),
        "curl": first_order.curl(url, "KEY-OF-THE-DISTRIBUTOR", body) if body else "",
    }
