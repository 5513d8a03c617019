"""`/sandbox/checks`: start checks of a webhook's handler, and read their results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Annotated, Any, cast

from django.db.models import QuerySet, Subquery
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from checks import runner, selection
from checks.catalog import BY_ID, CHECKS
from checks.options import EVENT, VALIDATOR, Options
from checks.outputs import json_report
from checks.outputs.catalog_texts import UnknownCheck
from checks.outputs.json_report import BadReport
from checks.outputs.marks import Mark
from requests_queue.api.fields import Boolean, Free, Id, List, String
from requests_queue.api.resources import Field, Many, Part
from requests_queue.api.schema import FROM_OUTSIDE, Also, Untrusted
from requests_queue.catalog.models import Account, User
from requests_queue.errors import Invalid
from requests_queue.suggestions import did_you_mean
from sandbox import check_runs
from sandbox.api.schema import Exact, NumberText, Operation, Operations, Query
from sandbox.models import CheckRun
from sandbox.timeline.timeline import Moment, moment
from webhooks.models import Webhook

RUNS = 5  # of a response by default
# Checks create purchases, so they are about webhooks of subscription requests.
_CHECKED = "fulfillment_request"
_STATES = (CheckRun.RUNNING, CheckRun.FINISHED, CheckRun.FAILED, CheckRun.CANCELLED)
# Marks of results that are counted only.
_UNREMARKABLE = (Mark.PASS, Mark.SKIPPED)


def checkable_webhooks() -> QuerySet[Webhook]:
    """Return the webhooks that can be checked: those that the vendor's key reads."""
    owner = Subquery(key_owners().values("pk")[:1])
    return Webhook.objects.filter(
        account_id=owner, object_class=_CHECKED, type__in=(EVENT, VALIDATOR)
    )


def key_owners() -> QuerySet[Account]:
    """Return the vendors; the API key of the first one is in sandbox.json."""
    # In the order of the command `sandbox`, which makes the key.
    return Account.objects.filter(type="vendor").order_by("created", "pk")


@dataclass(frozen=True)
class ShownRun:
    """A run, and its results so far: with `check` that one's, and the evidence of its report."""

    row: CheckRun
    check: str = ""

    @property
    def total(self) -> int:
        """Return how many checks it consists of, 0 while that is unknown."""
        return len(self.row.progress.get("checks", []))

    @property
    def counts(self) -> Mapping[str, int]:
        """Return the number of results by mark."""
        return Counter(each["mark"] for each in self.row.progress.get("results", []))

    @property
    def results(self) -> list[dict[str, Any]]:
        """Return the results that somebody has to read, with advice."""
        return [
            {
                **each,
                "why": BY_ID[each["check"]].why if each["check"] in BY_ID else "",
                "fix": BY_ID[each["check"]].fix if each["check"] in BY_ID else "",
                "evidence": self._evidence,
            }
            for each in self.row.progress.get("results", [])
            if each["mark"] not in _UNREMARKABLE and self.check in ("", each["check"])
        ]

    @property
    def _evidence(self) -> list[dict[str, Any]]:
        if not self.check or not self.row.report:
            return []
        try:
            results = json_report.read(self.row.report).results
        except BadReport:
            # A report of another version.
            return []
        return [
            {"title": exhibit.title, "lines": list(exhibit.lines)}
            for each in results
            for exhibit in each.verdict.evidence
            if each.check.id == self.check
        ]


_TEXTS = dict.fromkeys(("check", "title", "level", "mark", "why", "fix"), str)
_EVIDENCE = Annotated[list[dict[str, Any]], FROM_OUTSIDE]
CHECK_RUN = Part(
    "CheckRun",
    "A run of checks: `total` checks, their `counts` by mark, and the results that are neither "
    "pass nor skipped. Times are real; `error` says why it has ended early. Only the check that is "
    "asked for has evidence.",
    {
        "id": Field(int, "row.pk"),
        "webhook": Field(str, "row.webhook_id"),
        "state": Field(Annotated[str, Also(enum=list(_STATES))], "row.state"),
        "exit_code": Field(int | None, "row.exit_code"),
        "started_at": moment("row.started_at"),
        "ended_at": moment("row.ended_at", Moment | None),
        "total": int,
        "counts": dict[str, int],
        "error": Field(Untrusted, "row.error"),
        "results": Many(
            Part(
                "CheckResult",
                "The result of a check: what it found, why it matters, and how to fix it.",
                {
                    **{name: Field(type, itemgetter(name)) for name, type in _TEXTS.items()},
                    "text": Field(Untrusted, itemgetter("text")),
                    "evidence": Field(_EVIDENCE, itemgetter("evidence")),
                },
            ),
            attrgetter("results"),
        ),
    },
)
CHECK_RUNS = Part("CheckRuns", "Runs of checks, the newest first.", {"runs": [CHECK_RUN]})


class ChecksQuery(Query):
    """Which runs to return."""

    webhook = Id(help_text="Only runs of this webhook.")
    check = Id(  # type: ignore[assignment]
        help_text="Only results of this check, by its ID, with the evidence."
    )
    limit = NumberText(
        1,
        check_runs.KEPT,
        help_text=f"Number of runs: {RUNS} by default, at most {check_runs.KEPT}.",
    )


class ChecksInput(Exact):
    """Which webhook to check, and how."""

    webhook = Id(required=True, help_text="A webhook of subscription requests.")
    select = List(
        String(100), max_length=100, help_text="Ids, groups or globs of checks; by default all."
    )
    strict = Boolean(help_text="Failures of the level SHOULD count, too.")
    deep = Boolean(help_text="Run the checks that take minutes, too.")
    invalid = Free(help_text="Values that the validator refuses, by parameter.")

    def options(self, data: Any) -> tuple[Any, dict[str, Any]]:
        """Return the webhook, and the options of a run of its checks; raises Invalid."""
        values = self.check(data)
        row = checkable_webhooks().filter(pk=values["webhook"]).first()
        if row is None:
            raise Invalid(
                "webhook",
                f"There is no webhook {values['webhook'][:40]} that can be checked: it has to be "
                "one of the first vendor's for subscription requests.",
            )
        try:
            selected = selection.globs(values.get("select", ()))
        except UnknownCheck as error:
            sentence = str(error)
            raise Invalid("select", f"{sentence[:1].upper()}{sentence[1:]}") from None
        if not runner.select(CHECKS, Options(type=row.type, selected=selected)):
            text = f"None of them is a check of a webhook of type {row.type}."
            raise Invalid("select", text)
        invalid = values.get("invalid", {})
        if not all(isinstance(value, str) for value in invalid.values()):
            raise Invalid("invalid", "Each value must be text.")
        if not all(name and "=" not in name for name in invalid):
            raise Invalid("invalid", "Each key must be the name of a parameter.")
        return row, {
            "type": row.type,
            "method": row.http_method,
            "select": list(selected),
            "seed": 0,
            "strict": values.get("strict", False),
            "deep": values.get("deep", False),
            "invalid": invalid,
        }


def start(row: Webhook, options: Mapping[str, Any], user: User) -> CheckRun:
    """Start a run of checks; raises Conflict while another one is running."""
    run = check_runs.begin(row, options, user.username)
    check_runs.start(run, [row.jwt_secret, *map(str, row.headers.values())])
    return run


class ChecksView(APIView):
    """`/sandbox/checks`: runs of checks."""

    operations: Operations = {
        "get": Operation("Checks", "List runs of checks", CHECK_RUNS, query=ChecksQuery),
        "post": Operation(
            "Checks", "Start checks", CHECK_RUN, 201, body=ChecksInput, errors=(409,)
        ),
    }

    def get(self, request: Request) -> Response:
        """Return the latest runs, also one that is not at its end, with their results so far."""
        check_runs.recover_later()
        values = ChecksQuery().check_query(request.query_params)
        rows = CheckRun.objects.all()
        if webhook := values.get("webhook"):
            rows = rows.filter(webhook_id=webhook)
        check = values.get("check") or ""
        if check and check not in BY_ID:
            raise Invalid("check", f"There is no such check.{did_you_mean(check, BY_ID)}")
        if not check:
            # Only the evidence is read from there.
            rows = rows.defer("report")
        shown = [ShownRun(row, check) for row in rows[: values.get("limit", RUNS)]]
        return Response({"runs": list(map(CHECK_RUN.represent, shown))})

    def post(self, request: Request) -> Response:
        """Start a run, which restores the sandbox at its end; 409 while another one is running."""
        check_runs.recover_later()
        row, options = ChecksInput().options(request.data)
        run = start(row, options, cast(User, request.user))
        return Response(CHECK_RUN.represent(ShownRun(run)), status=201)


urlpatterns = [path("checks", ChecksView.as_view())]
