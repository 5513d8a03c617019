"""Views of checks, for users of the webhook's account: choose, run, watch, cancel, download.

Administrators act as an account, as in all of the portal.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from checks import runner, selection
from checks.catalog import CHECKS
from checks.options import VALIDATOR, Options
from checks.outputs import html, marks
from checks.outputs.catalog_texts import UnknownCheck
from portal import layout, pages
from portal.identity import Viewer
from requests_queue.errors import Conflict, Missing
from sandbox.check_runs import process, restoring, runs
from sandbox.models import CheckRun
from sandbox.pages import check_views
from sandbox.pages.check_views import RunView
from webhooks.models import Webhook

MAX_SEED = 2**31 - 1
_MAX_VALUES = 20
# Content types of the files, by extension.
_FORMS = {"html": "text/html; charset=utf-8", "json": "application/json"}


class CheckForm(forms.Form):
    """What is checked, and how; a valid form has `options`, as `CheckRun` stores them."""

    required_css_class = "required"

    groups = forms.MultipleChoiceField(
        required=False,
        label="Groups",
        widget=forms.CheckboxSelectMultiple,
        help_text="None selected: all.",
    )
    checks = forms.CharField(
        required=False,
        label="Only these checks",
        max_length=1000,
        help_text="IDs or patterns, separated by commas, for example auth.no_header, token.*",
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    invalid = forms.CharField(
        required=False,
        label="Values that your validator refuses",
        max_length=4000,
        help_text="One per line, as parameter=value. Without any, some checks are inconclusive.",
        widget=forms.Textarea({"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=MAX_SEED,
        initial=0,
        label="Seed",
        help_text="Only named in the report: checks make no random choices.",
    )
    strict = forms.BooleanField(required=False, label="Failures of SHOULD count, too")
    deep = forms.BooleanField(required=False, label="Also run the checks that take minutes")

    def __init__(self, type_: str, method: str, data: QueryDict | None = None, **more: Any):
        super().__init__(data, **more)
        self._type, self._method = type_, method
        applicable = runner.select(CHECKS, Options(type=type_))
        groups: Any = self.fields["groups"]
        groups.choices = [
            (name, f"{name} ({len(checks)})")
            for name, checks in marks.check_groups(applicable).items()
        ]
        if type_ != VALIDATOR:
            del self.fields["invalid"]

    @property
    def options(self) -> dict[str, Any]:
        values = self.cleaned_data
        return {
            "type": self._type,
            "method": self._method,
            "select": [*values["groups"], *values["checks"]],
            "seed": values["seed"],
            "strict": values["strict"],
            "deep": values["deep"],
            "invalid": values.get("invalid", {}),
        }

    def clean_checks(self) -> tuple[str, ...]:
        """Return the ids and patterns."""
        text = self.cleaned_data["checks"].strip()
        try:
            return selection.globs([text]) if text else ()
        except UnknownCheck as error:
            sentence = str(error)
            raise forms.ValidationError(f"{sentence[:1].upper()}{sentence[1:]}") from None

    def clean_invalid(self) -> dict[str, str]:
        """Return the values by parameter."""
        values: dict[str, str] = {}
        for line in filter(None, map(str.strip, self.cleaned_data["invalid"].splitlines())):
            name, equals, value = line.partition("=")
            if not name.strip() or not equals:
                raise forms.ValidationError("Each line must be parameter=value.")
            values[name.strip()] = value.strip()
        if len(values) > _MAX_VALUES:
            raise forms.ValidationError(f"Enter at most {_MAX_VALUES} values.")
        return values

    def clean(self) -> dict[str, Any]:
        """Refuse a selection without any check of the webhook's type."""
        values = super().clean() or self.cleaned_data
        if not self.errors and not runner.select(
            CHECKS, Options(type=self._type, selected=selection.globs(self.options["select"]))
        ):
            self.add_error("checks", f"None of them is a check of a webhook of type {self._type}.")
        return values


@layout.signed_in("GET")
def overview(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the webhooks that can be checked, each with its last run."""
    restoring.recover_later()
    rows = list(runs.checkable_webhooks(viewer.account.pk).select_related("product"))
    last = check_views.latest([row.pk for row in rows])
    context = {
        "rows": [(row, last.get(row.pk)) for row in rows],
        "owner": runs.key_owner(),
        "running": _running(viewer),
    }
    return layout.render(request, viewer, "sandbox/checks.html", context)


@layout.signed_in("GET", "POST")
def webhook(request: HttpRequest, viewer: Viewer, webhook: str) -> HttpResponse:
    """Show the form and the last runs of a webhook, or start a run."""
    restoring.recover_later()
    row = runs.checkable_webhooks(viewer.account.pk).filter(pk=webhook).first()
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
