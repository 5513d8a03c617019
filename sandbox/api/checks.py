"""`/sandbox/checks`: start checks of a webhook's handler, and read their results."""

from __future__ import annotations

from typing import Any, cast

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from checks import runner, selection
from checks.catalog import CHECKS
from checks.options import Options
from checks.outputs.catalog_texts import UnknownCheck
from requests_queue.api.fields import Boolean, Free, Id, List, String
from requests_queue.api.resources import Part
from requests_queue.catalog.models import User
from requests_queue.errors import Invalid
from sandbox import check_runs
from sandbox.api.schema import Exact, NumberText, Operation, Operations, Query
from sandbox.models import CheckRun
from sandbox.timeline.check_results import CHECK_RUN, ShownRun, checkable_webhooks

RUNS = 5  # of a response by default
CHECK_RUNS = Part("CheckRuns", "Runs of checks, the newest first.", {"runs": [CHECK_RUN]})


class ChecksQuery(Query):
    """Which runs to return."""

    webhook = Id(help_text="Only runs of this webhook.")
    limit = NumberText(
        1, check_runs.KEPT, help_text=f"Number of runs: {RUNS} by default, at most 20."
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
        return row, {
            "type": row.type,
            "method": row.http_method,
            "select": list(selected),
            "seed": 0,
            "strict": values.get("strict", False),
            "deep": values.get("deep", False),
            "invalid": invalid,
        }


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
        shown = map(ShownRun, rows[: values.get("limit", RUNS)])
        return Response({"runs": list(map(CHECK_RUN.represent, shown))})

    def post(self, request: Request) -> Response:
        """Start a run, which restores the sandbox at its end; 409 while another one is running."""
        check_runs.recover_later()
        row, options = ChecksInput().options(request.data)
        run = check_runs.begin(row, options, cast(User, request.user).username)
        check_runs.start(run, [row.jwt_secret, *map(str, row.headers.values())])
        return Response(CHECK_RUN.represent(ShownRun(run)), status=201)


urlpatterns = [path("checks", ChecksView.as_view())]
