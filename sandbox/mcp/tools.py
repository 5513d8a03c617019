"""The tools: each is an operation of `/sandbox/…`, or several that an argument chooses from.

Their schemas are JSON Schema (2020-12), made of the operations' OpenAPI document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from requests_queue.api.schema import UNTRUSTED, Json
from sandbox.api.schema import document

MAX_WAIT = 30  # seconds
DELIVERIES = 10  # of a search by default: with bodies, more would fill a model's context
# Characters of one text in a result: at least, so that ids and times are whole, by default and at
# most.
SHORTEST, LONGEST, MAX_LONGEST = 64, 4096, 50_000
# Arguments that are not the operation's: which one it is, and how long texts may be.
ACTION, TEXT = "action", "longest_text"
_COMPONENTS, _DEFINITIONS = "#/components/schemas/", "#/$defs/"
# Words of OpenAPI 3.0 that JSON Schema doesn't have.
_DROPPED = ("nullable", "example")
_SUBJECTS: Json = {
    "delivery": {"type": "integer", "minimum": 1, "description": "The number of a delivery."},
    "webhook": {
        "type": "string",
        "pattern": "^WH-[0-9-]+$",
        "description": "The ID of a webhook, WH-…",
    },
}


@dataclass(frozen=True)
class Call:
    """A request to `/sandbox/…`: its operation, and the arguments that it takes.

    `subject` is the argument in the path, if it has one. `keys` are where the result has the
    response, by status; empty: the response is the result. Other statuses are errors.
    """

    method: str
    path: str
    names: tuple[str, ...] = ()
    subject: str = ""
    keys: Mapping[int, str] = field(default_factory=lambda: {200: ""})
    schemas: Json = field(default_factory=dict)
    prepare: Callable[[Json], Json] = lambda arguments: arguments

    @cached_property
    def input_schema(self) -> Json:
        """The schema of the arguments."""
        operation = document()["paths"][self.path][self.method]
        known = {
            each["name"]: {**each["schema"], "description": each["description"]}
            for each in operation.get("parameters", ())
            if each["in"] == "query"
        }
        required = [self.subject]
        if body := operation.get("requestBody"):
            [name] = _references(body)
            schema = document()["components"]["schemas"][name]
            known |= schema["properties"]
            required += schema.get("required", ())
        known |= {**_SUBJECTS, **self.schemas}
        names = [*filter(None, [self.subject]), *self.names]
        return {
            "type": "object",
            "properties": {name: _converted(known[name]) for name in names},
            "required": [name for name in names if name in required],
            "additionalProperties": False,
        }

    @cached_property
    def answers(self) -> Json:
        """The schemas of the responses by key of the result; they refer to `$defs`."""
        responses = document()["paths"][self.path][self.method]["responses"]
        return {
            key: _converted(responses[str(status)]["content"]["application/json"]["schema"])
            for status, key in self.keys.items()
        }

    def request(self, arguments: Json) -> tuple[str, str, bytes]:
        """Return method, target and body of the request."""
        values = dict(self.prepare(arguments))
        path = self.path.replace("{id}", quote(str(values.pop(self.subject, "")), safe=""))
        if self.method == "post":
            return "POST", path, json.dumps(values).encode()
        query = urlencode(values, doseq=True)
        return "GET", f"{path}?{query}" if query else path, b""


@dataclass(frozen=True)
class Tool:
    """A tool; `calls` are its only one, or those that the argument `action` chooses from."""

    name: str
    title: str
    text: str
    calls: Mapping[str, Call]

    @property
    def changes(self) -> bool:
        """Whether it changes the sandbox."""
        return "" not in self.calls

    @cached_property
    def input_schema(self) -> Json:
        """The schema of the arguments."""
        if not self.changes:
            return self.calls[""].input_schema
        found: Json = {ACTION: {"type": "string", "enum": list(self.calls)}}
        for action, call in self.calls.items():
            for name, schema in call.input_schema["properties"].items():
                assert name not in found, f"{name} is an argument of two actions"
                description = f"Of {action}. {schema.get('description', '')}".strip()
                found[name] = {**schema, "description": description}
        return {
            "type": "object",
            "properties": found,
            "required": [ACTION],
            "additionalProperties": False,
        }

    @cached_property
    def output_schema(self) -> Json:
        """The schema of the result."""
        found: Json = {}
        for call in self.calls.values():
            found |= call.answers
        if "" in found:
            return with_definitions({"type": "object", **found[""]})
        return with_definitions(
            {"type": "object", "properties": found, "additionalProperties": False}
        )

    @cached_property
    def description(self) -> str:
        """What it does, and which fields of its result come from outside."""
        names = {name for name, part in _parts(self.output_schema) if part.get(UNTRUSTED)}
        return f"{self.text} Untrusted fields: {', '.join(sorted(names))}." if names else self.text


def with_definitions(schema: Json) -> Json:
    """Return a schema with the definitions that it refers to, at any depth."""
    found: Json = {}
    missing = _references(schema)
    while missing:
        name = missing.pop()
        found[name] = _converted(document()["components"]["schemas"][name])
        missing |= _references(found[name]) - found.keys()
    return {**schema, "$defs": dict(sorted(found.items()))} if found else schema


def _references(schema: Any) -> set[str]:
    """Return the names of the definitions that a schema refers to."""
    return {part["$ref"].rpartition("/")[2] for _, part in _parts(schema) if "$ref" in part}


def _parts(schema: Any, name: str = "") -> Iterator[tuple[str, Json]]:
    """Yield the schemas in a schema, itself included, each with the name of its property."""
    if isinstance(schema, list):
        for each in schema:
            yield from _parts(each, name)
    elif isinstance(schema, dict):
        yield name, schema
        for word, value in schema.items():
            has_names = word in ("properties", "$defs")
            for inner, each in value.items() if has_names else [(name, value)]:
                yield from _parts(each, inner)


def _converted(schema: Json) -> Json:
    """Return a schema of OpenAPI 3.0 in the words of JSON Schema."""
    found: Json = {}
    for word, value in schema.items():
        if word in _DROPPED:
            continue
        if word == "$ref":
            found[word] = value.replace(_COMPONENTS, _DEFINITIONS)
        elif word == "allOf" and len(value) == 1:
            # In OpenAPI 3.0 nothing may stand beside a reference.
            found |= _converted(value[0])
        elif word == "properties":
            found[word] = {name: _converted(each) for name, each in value.items()}
        elif word in ("anyOf", "allOf", "oneOf"):
            found[word] = [_converted(each) for each in value]
        else:
            found[word] = _converted(value) if isinstance(value, dict) else value
    if not schema.get("nullable"):
        return found
    if isinstance(found.get("type"), str):
        return {**found, "type": [found["type"], "null"]}
    return {"anyOf": [found, {"type": "null"}]}


def _latest(arguments: Json) -> Json:
    """Return the arguments of a page: without a cursor, that of the last entries."""
    return arguments if "since" in arguments else {**arguments, "latest": "true"}


_TIMEOUT = {
    "type": "number",
    "minimum": 0,
    "maximum": MAX_WAIT,
    "description": "Seconds of real time: 5 by default.",
}
_LIMIT = {
    "type": "integer",
    "minimum": 1,
    "maximum": 200,
    "description": f"Number of deliveries: {DELIVERIES} by default, at most 200.",
}
_TEXT = {
    "type": "integer",
    "minimum": SHORTEST,
    "maximum": MAX_LONGEST,
    "description": f"Characters of one text: {LONGEST:,} by default, at most {MAX_LONGEST:,}.",
}
READING = (
    Tool(
        "status",
        "Status",
        "Show the version, the clock, and all webhooks with their pending deliveries and next "
        "attempts.",
        {"": Call("get", "/sandbox/status")},
    ),
    Tool(
        "search_deliveries",
        "Search deliveries",
        "List deliveries, the newest first, with their attempts; long bodies are left out.",
        {
            "": Call(
                "get",
                "/sandbox/deliveries",
                ("webhook", "object", "state", "since", "limit"),
                schemas={"limit": _LIMIT},
                prepare=lambda arguments: {"limit": DELIVERIES, **arguments},
            )
        },
    ),
    Tool(
        "explain_delivery",
        "Explain a delivery",
        "Show a delivery: each request and response, the reason of each decision, what the handler "
        "did by the API, and why the next attempt is when it is. Long texts are cut: read on with "
        f"`attempt` and `{TEXT}`.",
        {
            "": Call(
                "get",
                "/sandbox/deliveries/{id}",
                ("attempt", TEXT),
                subject="delivery",
                schemas={TEXT: _TEXT},
            )
        },
    ),
    Tool(
        "timeline",
        "Timeline",
        "List what happened, in order: the last entries, or with `since` the first ones after a "
        "cursor.",
        {
            "": Call(
                "get",
                "/sandbox/timeline",
                ("since", "limit", "webhook", "object", "kind"),
                prepare=_latest,
            )
        },
    ),
    Tool(
        "wait",
        "Wait for a condition",
        f"Wait until a condition is true, at most {MAX_WAIT} seconds; otherwise say what happened "
        "instead.",
        {
            "": Call(
                "post",
                "/sandbox/wait",
                ("until", "since", "timeout", "within"),
                keys={200: "satisfied", 408: "unsatisfied"},
                schemas={"timeout": _TIMEOUT},
            )
        },
    ),
    Tool(
        "check_results",
        "Results of checks",
        "Show the latest runs of checks of handlers, and what failed, why it matters and how to "
        "fix it; with `check` also the evidence.",
        {"": Call("get", "/sandbox/checks", ("webhook", "check", "limit"))},
    ),
    Tool(
        "forecast",
        "Forecast attempts",
        "Show when the next attempts of a webhook are, if every one fails.",
        {"": Call("get", "/sandbox/webhooks/{id}/forecast", subject="webhook")},
    ),
)
_MOVED = {200: "moved"}
CHANGING = Tool(
    "change",
    "Change the sandbox",
    "Create a sample, move the clock, send a delivery's request again, or start checks, which "
    "returns at once: ask check_results then.",
    {
        "create_sample": Call(
            "post",
            "/sandbox/queue/samples",
            ("queue", "type", "product", "draft"),
            keys={201: "sample"},
        ),
        "advance_clock": Call("post", "/sandbox/clock/advance", ("by",), keys=_MOVED),
        "next_attempt": Call("post", "/sandbox/clock/next", keys=_MOVED),
        "run_until_idle": Call(
            "post", "/sandbox/clock/run-until-idle", ("max", "max_steps"), keys=_MOVED
        ),
        "send_again": Call(
            "post",
            "/sandbox/deliveries/{id}/send-again",
            ("attempt",),
            subject="delivery",
            keys={201: "sent"},
        ),
        "start_checks": Call(
            "post",
            "/sandbox/checks",
            ("webhook", "select", "strict", "deep", "invalid"),
            keys={201: "run"},
        ),
    },
)
