"""`/sandbox/coverage`: which cases tests made happen, and stubs for those that are missing."""

from __future__ import annotations

from typing import TypedDict

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api.fields import Id
from sandbox.api.schema import CursorField, Operation, Operations, Query, Word
from sandbox.coverage import report
from sandbox.timeline.timeline import Cursor


class CoverageGroup(TypedDict):
    """A queue, or another group of cases: a part in percent, rounded down to a tenth."""

    name: str
    title: str
    percent: float
    covered: int
    possible: int


class CoverageCase(TypedDict):
    """A case, how often it has happened, and if never, how to make it happen: a test, if any."""

    id: str
    group: str
    text: str
    weight: int
    seen: int
    how: str
    stub: str | None


class Coverage(TypedDict):
    """What was covered of what the products can have; cases are in order of weight."""

    products: list[str]
    percent: float
    covered: int
    possible: int
    groups: list[CoverageGroup]
    cases: list[CoverageCase]


class CoverageQuery(Query):
    """What the report is about."""

    product = Id(help_text="Only this product; by default all whose webhooks had events.")
    since = CursorField(help_text="Only what happened after this cursor; by default all.")
    stubs = Word(("pytest", "node", "shell"), help_text="The language of stubs; by default pytest.")


class CoverageView(APIView):
    """`GET /sandbox/coverage?product=&since=&stubs=`."""

    operations: Operations = {
        "get": Operation(
            "Timeline", "Read the coverage", Coverage, query=CoverageQuery, errors=(404,)
        )
    }

    def get(self, request: Request) -> Response:
        """Return which cases have happened of those that are possible, by the timeline.

        Resets and restores keep what has happened before. Each missing case has a test that makes
        it happen, or at least a sentence how.
        """
        values = CoverageQuery().check_query(request.query_params)
        since, product = values.get("since", Cursor()), values.get("product", "")
        return Response(report.make(since, product, values.get("stubs", "pytest")))


urlpatterns = [path("coverage", CoverageView.as_view())]
