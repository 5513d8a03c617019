"""Pages of extensions: their environments, and the tasks of one; for users of their account."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from extensions import dispatch, interactive
from extensions.definitions import EVENT_TYPES
from extensions.models import PROCESSING, STATUSES, Environment, Task
from extensions.signals import wake
from portal import layout, pages
from portal.identity import Viewer
from portal.paging import paged
from requests_queue.catalog.models import ProductAction
from requests_queue.errors import Missing, Refused

_TONES = {"succeeded": "good", "failed": "bad", "retrying": "bad", "processing": "busy"}
_RUNS = 20  # of a task that are shown


def tone(status: str) -> str:
    """Return the color of a task's status."""
    return _TONES.get(status, "wait" if status in ("scheduled", "rescheduled") else "")


def _environments(viewer: Viewer) -> QuerySet[Environment]:
    rows = Environment.objects.filter(extension__account=viewer.account)
    return rows.select_related("extension").prefetch_related("instances", "extension__products")


@layout.signed_in("GET")
def overview(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the extensions of the viewer's account, the newest first."""
    rows = paged(request, _environments(viewer).order_by("-extension__created_at", "pk"))
    counts: dict[str, Counter[str]] = {}
    statuses = Task.objects.filter(environment__in=[row.pk for row in rows.rows])
    for pk, status in statuses.order_by().values_list("environment", "status"):
        counts.setdefault(pk, Counter())[status] += 1
    shown = [(row, _connected(row), _counted(counts.get(row.pk, Counter()))) for row in rows.rows]
    context = {"paged": rows, "rows": shown, "command": f"{settings.PROGRAM} extension add"}
    return layout.render(request, viewer, "sandbox/extensions.html", context)


def _connected(row: Environment) -> list[Any]:
    return [each for each in row.instances.all() if each.connection]


def _counted(counts: Counter[str]) -> list[tuple[str, int, str]]:
    return [(status, counts[status], tone(status)) for status in STATUSES if counts[status]]


@layout.signed_in("GET")
def environment(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show an environment: instances, variables, schedules and tasks; htmx polls the tasks."""
    row = _environments(viewer).filter(pk=pk).first()
    if row is None:
        raise Missing(pk)
    tasks = Task.objects.filter(environment=row).select_related("instance")
    status = request.GET.get("status", "")
    if status in STATUSES:
        tasks = tasks.filter(status=status)
    page = paged(request, tasks.prefetch_related("runs"))
    shown = [(task, tone(task.status), _runs(task)) for task in page.rows]
    instances = list(row.instances.all())
    seen = layout.digest(
        [(task.pk, task.status, task.sent, task.due_at) for task, *_ in shown],
        [(each.uid, each.kind, bool(each.connection)) for each in instances],
    )
    if layout.is_unchanged(request, seen):
        return pages.empty()
    context = {
        "row": row,
        "instances": instances,
        "variables": row.variables.all(),
        "schedules": row.schedules.all(),
        "subscriptions": [
            (EVENT_TYPES[name].name if name in EVENT_TYPES else name, ", ".join(statuses))
            for name, statuses in sorted(row.subscriptions.items())
        ],
        "paged": page,
        "tasks": shown,
        "statuses": STATUSES,
        "status": status,
        "seen": seen,
        "query": page.query.urlencode(),
    }
    template = "extension_tasks" if layout.is_htmx(request) else "extension"
    return layout.render(request, viewer, f"sandbox/{template}.html", context)


def execute_action(
    request: HttpRequest, action: ProductAction, claims: Mapping[str, Any]
) -> HttpResponse | None:
    """Let an extension of the product execute the action of a link, if one subscribes to it.

    What it answers is shown without the rights of the portal's pages: anybody may have written it.
    """
    data = {
        "method": request.method,
        "querystring": {name: request.GET.getlist(name) for name in request.GET},
        "form_data": {},
        "jwt_payload": claims,
    }
    product = action.product
    try:
        answer = interactive.execute_action(product.pk, product.owner_id, action.pk, data)
    except Refused as refused:
        return HttpResponse(str(refused), status=502, content_type="text/plain; charset=utf-8")
    if answer is None:
        return None
    headers = {str(name).lower(): str(value) for name, value in (answer["headers"] or {}).items()}
    target = headers.get("location", "")
    if target.startswith(("https://", "http://")):
        return pages.see_other(target)
    body = answer["body"]
    is_text = isinstance(body, str)
    response = HttpResponse(
        body if is_text else json.dumps(body),
        status=answer["http_status"],
        content_type="text/html; charset=utf-8" if is_text else "application/json",
    )
    response["Content-Security-Policy"] = "sandbox"
    return response


def _runs(task: Task) -> list[Any]:
    return list(task.runs.all())[-_RUNS:]


@layout.signed_in("POST")
def resubmit(request: HttpRequest, viewer: Viewer, pk: str, number: int) -> HttpResponse:
    """Send a task again that has ended, and return to its environment."""
    row = Task.objects.filter(environment__extension__account=viewer.account, pk=number)
    task = row.filter(environment=pk).first()
    if task is None:
        raise Missing(str(number))
    if dispatch.resubmit(task):
        wake.send(sender=None)
        messages.success(request, f"{task.shown_id} is sent again.")
    elif task.status == PROCESSING:
        messages.error(request, f"{task.shown_id} is being processed.")
    else:
        messages.error(request, f"{task.shown_id} waits to be sent already.")
    return pages.see_other(reverse("extension", args=[pk]))
