"""The declaration of a view in the OpenAPI document, and the JSON types that all packages share.

A view's `documented` names the type of its objects and of other responses: a resource or part
(`resources.py`), or a TypedDict where JSON is stored as it is shown. `connect_sim.api.document`
makes components of them, and the tests check every response against them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict


class Also:
    """What a schema says beside its type, in the words of JSON Schema."""

    def __init__(self, **words: Any) -> None:
        self.words = words


# What comes from outside, or quotes it: texts of handlers and clients, names, values, files. Who
# reads it for an agent must not take it for instructions.
UNTRUSTED = "x-untrusted"
FROM_OUTSIDE = Also(**{UNTRUSTED: True})
Untrusted = Annotated[str, FROM_OUTSIDE]
UntrustedJson = Annotated[dict[str, Any], FROM_OUTSIDE]
Stamp = Annotated[str, Also(format="date-time")]
Day = Annotated[str, Also(format="date")]
Uri = Annotated[str, Also(format="uri")]
Nothing = Annotated[str, Also(maxLength=0)]
Json = dict[str, Any]
Free = dict[str, Any]


class Form:
    """A multipart body with one file, and plain fields beside it.

    `many` are fields with any number of files.
    """

    def __init__(self, field: str, *many: str, **plain: type) -> None:
        self.field, self.many, self.plain = field, many, plain


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call answers with where that isn't the object.

    `shown` None is no body, a list of one type or part an array. `files` are the media types of
    what the caller can choose by `Accept` instead.
    """

    status: int
    shown: Any = None
    media_types: tuple[str, ...] = ("application/json",)
    files: tuple[str, ...] = ()


MARKDOWN = Answer(200, str, ("text/markdown",))


@dataclass(frozen=True, slots=True)
class Documented:
    """A view in the OpenAPI document: its chapter, what it calls its objects, and their types.

    `answers` and `queries` (names and what they mean) are by the name of the view's
    method or of the move.
    """

    tag: str
    one: str
    shown: Any = Free
    listed: Any = None
    answers: Mapping[str, Answer] = field(default_factory=dict)
    queries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Error(TypedDict, total=False):
    """An error of the API; `params` only where a request is there already (409)."""

    error_code: str
    errors: list[str]
    params: Free


class Id(TypedDict):
    """An object, by its identifier alone."""

    id: str


class Named(TypedDict):
    """A reference to an object."""

    id: str
    name: str


class Person(TypedDict):
    """A user."""

    id: str
    name: str
    email: str


class AnyReference(TypedDict, total=False):
    """A reference, empty where there is nothing to refer to."""

    id: str
    name: str
    icon: str
    email: str
    external_id: str
