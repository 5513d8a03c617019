"""Runs of checks as pages show them, and their views: choose, run, watch, cancel, download.

They are for users of the webhook's account. Administrators act as an account, as in all of the
portal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from checks import runner, selection
from checks.catalog import CHECKS
from checks.model import Report, Result
from checks.options import VALIDATOR, Options
from checks.outputs import html, json_report, marks
from checks.outputs.catalog_texts import UnknownCheck
from checks.outputs.exit_code import Conclusion, ExitCode, conclude
from checks.outputs.json_report import BadReport
from checks.outputs.marks import Finding, Mark
from checks.outputs.texts import evidence_lines
from portal import layout, pages
from portal.commands import MAX_FOUND, Command
from portal.identity import Viewer
from requests_queue.errors import Conflict, Missing
from requests_queue.time_format import format_span
from sandbox import check_runs
from sandbox.api.checks import checkable_webhooks, key_owners, start
from sandbox.models import CheckRun
from webhooks.models import Webhook

# The classes of badges.
_TONES = {Mark.PASS: "good", Mark.FAIL: "bad"}
_VERDICT_TONES = {ExitCode.PASS: "good", ExitCode.FAIL: "bad"}
_WORDS = {CheckRun.RUNNING: "Running", CheckRun.FAILED: "Could not run"}
MAX_SEED = 2**31 - 1
_MAX_VALUES = 20
# Content types of the files, by extension.
_FORMS = {"html": "text/html; charset=utf-8", "json": "application/json"}


@dataclass(frozen=True, slots=True)
class Badge:
    """A word in a color."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class ResultView:
    """The result of a check; the first one of a finding is open."""

    result: Result
    mark: Mark
    finding: Finding | None = None

    @property
    def badge(self) -> Badge:
        return _badge(self.mark)

    @property
    def is_open(self) -> bool:
        """Whether the details are shown at once."""
        return self.finding is not None

    @property
    def duration(self) -> str:
        """Return how long it took, empty if it was not run."""
        return format_span(self.result.seconds) if self.result.seconds else ""

    @property
    def evidence(self) -> list[dict[str, str]]:
        """Return the pieces of evidence, each as one text."""
        exhibits = self.result.verdict.evidence
        return [{"title": e.title, "text": "\n".join(evidence_lines(e))} for e in exhibits]


class RunView:
    """A run as pages show it; the report is read only if it is shown."""

    def __init__(self, run: CheckRun) -> None:
        self.run = run

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.run.state == CheckRun.RUNNING

    @property
    def badge(self) -> Badge:
        """Return the verdict, or the state of a run without one."""
        if self.run.state == CheckRun.FINISHED:
            code = ExitCode(self.run.exit_code if self.run.exit_code in (0, 1) else 2)
            return Badge(code.word, _VERDICT_TONES.get(code, ""))
        if self.is_running:
            return Badge("Ending" if self.run.is_cancelled else "Running", "busy")
        return Badge(_WORDS.get(self.run.state, "Cancelled"))

    @property
    def done(self) -> int:
        """Return how many checks have a result."""
        return len(self._results)

    @property
    def total(self) -> int:
        """Return how many checks it consists of, 0 while that is unknown."""
        return len(self.run.progress.get("checks", []))

    @property
    def current(self) -> str:
        """Return the ids of the checks that run now."""
        return ", ".join(self.run.progress.get("running", []))

    @property
    def counts(self) -> str:
        """Return `12 passed, 1 failed`."""
        number = Counter(each["mark"] for each in self._results)
        return ", ".join(each.counted(number[each]) for each in Mark if number[each])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return the results so far, the latest first."""
        return [
            {
                **each,
                "badge": _badge(Mark(each["mark"])),
                "duration": format_span(each["seconds"]) if each["seconds"] else "",
            }
            for each in reversed(self._results)
        ]

    @property
    def duration(self) -> str:
        """Return how long it took, or has taken so far."""
        end = self.run.ended_at or datetime.now(UTC)
        return format_span(max(timedelta(seconds=1), end - self.run.started_at).total_seconds())

    @property
    def settings(self) -> str:
        """Return the options that differ from the defaults."""
        options = self.run.options
        parts = [
            ", ".join(options.get("select", [])) or "all checks",
            f"seed {options.get('seed', 0)}",
            "SHOULD counts" if options.get("strict") else "",
            "deep" if options.get("deep") else "",
            *(f"{name}={value}" for name, value in options.get("invalid", {}).items()),
        ]
        return " · ".join(filter(None, parts))

    @cached_property
    def report(self) -> Report | None:
        """Return the report, None if there is none, or if it is one of another version."""
        try:
            return json_report.read(self.run.report) if self.run.report else None
        except BadReport:
            return None

    @property
    def conclusion(self) -> Conclusion | None:
        """Return the verdict of the report."""
        return conclude(self.report) if self.report else None

    @property
    def groups(self) -> list[tuple[str, list[ResultView]]]:
        if self.report is None:
            return []
        grouped = marks.groups(self.report.results)
        return [(name, list(self._views(results))) for name, results in grouped.items()]

    @property
    def problems(self) -> list[ResultView]:
        """Return the first failure or warning of each cause."""
        return [view for _, views in self.groups for view in views if view.is_open]

    def _views(self, results: Iterable[Result]) -> Iterable[ResultView]:
        if self.report is None:
            return []
        strict = self.report.strict
        firsts = {each.first.check.id: each for each in marks.findings(self.report)}
        return (
            ResultView(each, marks.mark(each, strict), firsts.get(each.check.id))
            for each in results
        )

    @property
    def _results(self) -> Sequence[dict[str, Any]]:
        results: Sequence[dict[str, Any]] = self.run.progress.get("results", [])
        return results


def latest(webhooks: Sequence[str]) -> dict[str, RunView]:
    """Return the last run of each webhook that has one, without reports; one statement."""
    rows = CheckRun.objects.filter(webhook_id__in=webhooks).order_by()
    newest = rows.values("webhook_id").annotate(last=Max("pk")).values("last")
    return {
        row.webhook_id: RunView(row)
        for row in CheckRun.objects.filter(pk__in=newest).defer("report")
    }


def find_checks(viewer: Viewer, text: str) -> Iterator[Command]:
    """Return the forms that start checks, for `run checks` and a part of a webhook's name or ID."""
    verb, words = text.casefold().removeprefix("run ").partition(" ")[::2]
    if verb not in ("check", "checks"):
        return
    rows = checkable_webhooks().filter(account=viewer.account.pk)
    for word in words.removeprefix("of ").split():
        rows = rows.filter(Q(label__icontains=word) | Q(pk__istartswith=word))
    for row in rows.order_by("label", "pk").only("label")[:MAX_FOUND]:
        address = reverse("checks-webhook", args=[row.pk])
        yield Command(f"Check {row.label}…", address, f"Run checks of {row.pk}")


def _badge(mark: Mark) -> Badge:
    return Badge(f"{mark.symbol} {mark.value}", _TONES.get(mark, ""))


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
    check_runs.recover_later()
    rows = list(checkable_webhooks().filter(account=viewer.account.pk).select_related("product"))
    last = latest([row.pk for row in rows])
    context = {
        "rows": [(row, last.get(row.pk)) for row in rows],
        "owner": key_owners().first(),
        "running": _running(viewer),
    }
    return layout.render(request, viewer, "sandbox/checks.html", context)


@layout.signed_in("GET", "POST")
def webhook(request: HttpRequest, viewer: Viewer, webhook: str) -> HttpResponse:
    """Show the form and the last runs of a webhook, or start a run."""
    check_runs.recover_later()
    row = checkable_webhooks().filter(account=viewer.account.pk).filter(pk=webhook).first()
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
        run = start(row, form.options, viewer.user)
    except Conflict as refused:
        form.add_error(None, str(refused))
        return _form(request, viewer, row, form, status=409)
    return pages.see_other(reverse("checks-run", args=[row.pk, run.pk]))


@layout.signed_in("GET")
def run(request: HttpRequest, viewer: Viewer, webhook: str, pk: int) -> HttpResponse:
    """Show a run, or the part of it that htmx polls."""
    check_runs.recover_later()
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
    if not check_runs.cancel(row.pk):
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
        "history": [RunView(each) for each in history[: check_runs.KEPT]],
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
