"""`/sandbox/readings`: in which reading of the public sources the sandbox runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue import assumptions
from requests_queue.api.resources import Field, Many, Part
from requests_queue.errors import Invalid
from sandbox.api.schema import Exact, NoQuery, Operation, Operations, Word
from sandbox.readings import chosen
from sandbox.readings.registry import READINGS, Reading


class ShownReading(NamedTuple):
    """A reading, and the alternative that counts now."""

    reading: Reading
    value: str


READING = Part(
    "Reading",
    "A question that public sources leave open; `value` is the alternative that counts now, "
    "`default` the one unless a setting chooses another, `checks` what it can change.",
    {
        "id": Field(str, "reading.id"),
        "title": Field(str, "reading.title"),
        "value": str,
        "default": Field(str, "reading.default"),
        "setting": Field(str, "reading.setting"),
        "alternatives": Many(
            Part(
                "Alternative",
                "One answer, and what it means.",
                {
                    "value": Field(str, lambda each: each[0]),
                    "text": Field(str, lambda each: each[1]),
                },
            ),
            lambda each: each.reading.alternatives.items(),
        ),
        "source": Field(str, "reading.source"),
        "fidelity": Field(str, "reading.row"),
        "checks": Field(list[str], lambda each: list(each.reading.checks)),
    },
)


class ReadingsInput(Exact):
    """Alternatives by the id of the reading; null goes back to that of the setting."""

    def get_fields(self) -> dict[str, Any]:
        """Return a field for each reading."""
        return {
            each.id: Word(each.alternatives, help_text=each.title, null_value=None)
            for each in READINGS
        }


class ReadingsView(APIView):
    """`/sandbox/readings`: list and choose."""

    operations: Operations = {
        "get": Operation("Readings", "List the readings", [READING]),
        "put": Operation(
            "Readings", "Choose alternatives", [READING], body=ReadingsInput, errors=()
        ),
    }

    def get(self, request: Request) -> Response:
        """Return the readings with the alternatives that count now."""
        NoQuery().check_query(request.query_params)
        return Response(shown())

    def put(self, request: Request) -> Response:
        """Choose alternatives of some readings, until the next reset: 200 with all readings.

        A snapshot has them. Other processes have them when the response comes.
        """
        choices: Mapping[str, str | None] = ReadingsInput().check(request.data)
        if not choices:
            raise Invalid("", "Name at least one reading.")
        chosen.choose(choices)
        return Response(shown())


def shown() -> list[Any]:
    """Return the representations of all readings."""
    return [READING.represent(ShownReading(each, assumptions.value(each.id))) for each in READINGS]


urlpatterns = [path("readings", ReadingsView.as_view())]
