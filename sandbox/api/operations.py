"""The declaration of a view's operations in the OpenAPI document of `/sandbox/…`.

    class HoldsView(APIView):
        operations = {"post": Operation("Holds", "Take a hold", Hold, 201, body=HoldInput)}

`sandbox.api.schema` builds the document from it, with the docstrings of the view's methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from requests_queue.fields import Input
from requests_queue.schema import Form
from sandbox.api.queries import Query

Operations = Mapping[str, "Operation"]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a view: its chapter, what it does, and its answer (None: no content).

    An answer that is `bytes` is a file of one of the `media_types`. `errors` are the statuses of
    errors besides 400 and 401; `others` have a type of their own.
    """

    tag: str
    summary: str
    answer: Any
    status: int = 200
    query: type[Query] | None = None
    body: type[Input] | Form | None = None
    errors: tuple[int, ...] = ()
    others: Mapping[int, Any] = field(default_factory=dict)
    media_types: tuple[str, ...] = ("application/json",)


class Error(TypedDict):
    """An error, in the form of Connect's API."""

    error_code: str
    errors: list[str]
