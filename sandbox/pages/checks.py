"""Views of checks, for users of the webhook's account: choose, run, watch, cancel, download.

Administrators act as an account, as in all of the portal.
"""

from __future__ import annotations

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.identity import Viewer
from requests_queue.errors import Conflict, Missing
from sandbox.check_runs import process, restoring, runs, targets
from sandbox.checks.options import VALIDATOR
from sandbox.checks.outputs import html
from sandbox.models import CheckRun
from sandbox.pages import check_views
from sandbox.pages.check_form import CheckForm
from sandbox.pages.check_views import RunView
from webhooks.models import Webhook

# Content types of the files, by extension.
_FORMS = {"html": "text/html; charset=utf-8", "json": "application/json"}


@layout.signed_in("GET")
def overview(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the webhooks that can be checked, each with its last run."""
    restoring.recover_later()
    rows = list(targets.webhooks(viewer.account.pk).select_related("product"))
    last = check_views.latest([row.pk for row in rows])
    context = {
        "rows": [(row, last.get(row.pk)) for row in rows],
        "owner": targets.key_owner(),
        "running": _running(viewer),
    }
    return layout.render(request, viewer, "sandbox/checks.html", context)


@layout.signed_in("GET", "POST")
def webhook(request: HttpRequest, viewer: Viewer, webhook: str) -> HttpResponse:
    """Show the form and the last runs of a webhook, or start a run."""
    restoring.recover_later()
    row = targets.webhooks(viewer.account.pk).filter(pk=webhook).first()
    if row is None:
        raise Missing(webhook)
    if request.method != "POST":
        initial = {name: request.GET[name] for name in ("checks", "seed") if name in request.GET}
        form = CheckForm(row.type, row.http_method, initial={"seed": 0, **initial})
        return _form(request, viewer, row, form)
    form = CheckForm(row.type, row.http_method, request.POST)
    if not form.is_valid():
        return _form(request, viewer, row, form)
    try:
        run = runs.begin(row, form.options, viewer.user.username)
    except Conflict as refused:
        form.add_error(None, str(refused))
        return _form(request, viewer, row, form, status=409)
    process.start(run, [row.jwt_secret, *map(str, row.headers.values())])
    return pages.see_other(reverse("checks-run", args=[row.pk, run.pk]))


@layout.signed_in("GET")
def run(request: HttpRequest, viewer: Viewer, webhook: str, pk: int) -> HttpResponse:
    """Show a run, or the part of it that htmx polls."""
    restoring.recover_later()
    row = _find(viewer, webhook, pk)
    seen = layout.digest(row.state, row.is_cancelled, row.progress, row.error)
    if layout.is_unchanged(request, seen):
        return pages.empty()
    context = {"view": RunView(row), "seen": seen}
    part = "sandbox/check_run_live.html" if layout.is_htmx(request) else "sandbox/check_run.html"
    return layout.render(request, viewer, part, context)


@layout.signed_in("POST")
def cancel(request: HttpRequest, viewer: Viewer, webhook: str, pk: int) -> HttpResponse:
    """Let a run end."""
    row = _find(viewer, webhook, pk)
    if not process.cancel(row.pk):
        messages.info(request, "The checks have ended already.")
    return pages.see_other(reverse("checks-run", args=[row.webhook_id, row.pk]))


@layout.signed_in("GET")
def report(request: HttpRequest, viewer: Viewer, webhook: str, pk: int, form: str) -> HttpResponse:
    view = RunView(_find(viewer, webhook, pk))
    if form not in _FORMS or view.report is None:
        raise Missing(form)
    text = html.render(view.report) if form == "html" else view.run.report
    name = f"checks-{view.run.webhook_id}-{pk}.{form}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(text, content_type=_FORMS[form], headers=headers)


def _form(
    request: HttpRequest, viewer: Viewer, row: Webhook, form: CheckForm, status: int = 200
) -> HttpResponse:
    history = _own(viewer).filter(webhook_id=row.pk).defer("report")
    context = {
        "row": row,
        "form": form,
        "is_validator": row.type == VALIDATOR,
        "history": [RunView(each) for each in history[: runs.KEPT]],
        "running": _running(viewer),
    }
    return layout.render(request, viewer, "sandbox/check_webhook.html", context, status)


def _own(viewer: Viewer) -> QuerySet[CheckRun]:
    return CheckRun.objects.filter(account_id=viewer.account.pk)


def _find(viewer: Viewer, webhook: str, pk: int) -> CheckRun:
    """Return a run of the viewer's account; raises Missing."""
    row = _own(viewer).filter(webhook_id=webhook, pk=pk).first()
    if row is None:
        raise Missing(str(pk))
    return row


def _running(viewer: Viewer) -> RunView | None:
    """Return the run that keeps others from starting, if the viewer may see it."""
    row = _own(viewer).filter(state=CheckRun.RUNNING).defer("report").first()
    return RunView(row) if row else None
