"""`/sandbox/trace-file` makes the trace of a test or check, `/sandbox/traces` takes one to show it.

The first is what has happened here since a cursor, the second may be of another sandbox.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import path, reverse
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from checks import trace_file
from checks.trace_file import BadTrace
from requests_queue.api.fields import Anything, Integer, List, String
from requests_queue.api.resources import Part
from requests_queue.api.schema import Form
from requests_queue.catalog.spreadsheets import limits
from requests_queue.errors import Invalid, Refused
from requests_queue.queues.usage_file import uploads
from sandbox.api.schema import CursorField, Exact, Operation, Operations, Word
from sandbox.timeline import trace_storage, traces

MEDIA_TYPE = "application/zip"
_SEED = 2**63 - 1


class TraceInput(Exact):
    """What its maker knows of a test or a check; everything but `since` and `name` is optional."""

    since = CursorField(required=True, help_text="The cursor when it began.")
    kind = Word(("test", "check"))
    name = String(required=True)
    result = Word(("failed", "passed"))
    seed = Integer(-_SEED, _SEED)
    versions = Anything(help_text="Versions of programs, by name.")
    reproduce = String()
    failures = List(Anything(), help_text="`failure` in checks/trace.schema.json.")
    report = String()
    log = String()


class TraceFileView(APIView):
    """`POST /sandbox/trace-file`: a trace as a file."""

    operations: Operations = {
        "post": Operation(
            "Timeline",
            "Make a trace",
            bytes,
            body=TraceInput,
            media_types=(MEDIA_TYPE,),
        )
    }

    def post(self, request: Request) -> HttpResponse:
        """Return what has happened since a cursor as a file, without secrets.

        It has the timeline, deliveries, API calls of all accounts, and how objects were after each
        entry: at most 2,000 entries, 200 deliveries and 1,000 calls, the latest ones.
        """
        values: dict[str, Any] = TraceInput().check(request.data)
        since = values.pop("since")
        about = {
            "kind": "test",
            "result": "failed",
            "seed": None,
            "versions": {},
            "reproduce": "",
            "failures": [],
            "report": "",
            "log": "",
            **values,
        }
        if problem := trace_file.problem(about, "about"):
            raise Invalid("", f"{problem}.")
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return HttpResponse(traces.make(since, about), content_type=MEDIA_TYPE, headers=headers)


SHOWN_TRACE = Part(
    "ShownTrace", "A trace that the portal shows to administrators.", {"id": str, "path": str}
)


class TracesView(APIView):
    """`POST /sandbox/traces`, a form: 201 `{"id", "path"}`."""

    parser_classes = (MultiPartParser,)
    operations: Operations = {
        "post": Operation(
            "Timeline",
            "Show a trace in the portal",
            SHOWN_TRACE,
            201,
            body=Form("file"),
            errors=(413, 503),
        )
    }

    def post(self, request: Request) -> Response:
        """Keep a trace, and return the path of its page; the latest ten are kept."""
        file = uploads.find(request, "file")
        if (file.size or 0) > trace_file.MAX_FILE:
            raise limits.too_large("file", trace_file.MAX_FILE)
        try:
            pk = trace_storage.save(file.read())
        except BadTrace as error:
            raise Invalid("file", str(error)) from None
        except OSError:
            text = "The trace cannot be written. Is there space in the data folder?"
            raise Refused("SYS_503", text, status=503) from None
        return Response({"id": pk, "path": reverse("trace", args=[pk])}, status=201)


urlpatterns = [
    path("trace-file", TraceFileView.as_view()),
    path("traces", TracesView.as_view()),
]
