"""The tools: each is an operation of `/sandbox/…`, or several that an argument chooses from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote, urlencode

from requests_queue.api.schema import Json
from sandbox.mcp import schemas

MAX_WAIT = 30  # seconds
DELIVERIES = 10  # of a search by default: with bodies, more would fill a model's context
ACTION = "action"
_SUBJECTS: Json = {
    "delivery": {"type": "integer", "minimum": 1, "description": "The number of a delivery."},
    "webhook": {
        "type": "string",
        "pattern": "^WH-[0-9-]+$",
        "description": "The ID of a webhook, WH-…",
    },
}


@dataclass(frozen=True, slots=True)
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

    @property
    def arguments(self) -> Json:
        """Return the schemas of the arguments, by name."""
        known = {**_SUBJECTS, **schemas.arguments(self.method, self.path), **self.schemas}
        return {name: known[name] for name in (*filter(None, [self.subject]), *self.names)}

    @property
    def required(self) -> set[str]:
        """Return the names of the arguments that it needs."""
        needed = schemas.required(self.method, self.path) | {self.subject}
        return needed & self.arguments.keys()

    def request(self, arguments: Json) -> tuple[str, str, bytes]:
        """Return method, target and body of the request."""
        values = self.prepare(arguments)
        path = self.path
        if self.subject:
            values = dict(values)
            path = path.replace("{id}", quote(str(values.pop(self.subject)), safe=""))
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
        found: Json = {}
        if self.changes:
            found[ACTION] = {"type": "string", "enum": list(self.calls)}
        for action, call in self.calls.items():
            for name, schema in call.arguments.items():
                of = f"Of {action}. {schema.get('description', '')}".strip()
                found[name] = {**schema, "description": of} if action else schema
        required = [ACTION] if self.changes else sorted(self.calls[""].required)
        return {
            "type": "object",
            "properties": found,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }

    @cached_property
    def output_schema(self) -> Json:
        """The schema of the result."""
        found: Json = {}
        for call in self.calls.values():
            for status, key in call.keys.items():
                found[key] = schemas.answer(call.method, call.path, status)
        if "" in found:
            return schemas.with_definitions({"type": "object", **found[""]})
        result = {"type": "object", "properties": found, "additionalProperties": False}
        return schemas.with_definitions(result)

    @cached_property
    def description(self) -> str:
        """What it does, and which fields of its result come from outside."""
        names = sorted(set(schemas.untrusted(self.output_schema)))
        return f"{self.text} Untrusted fields: {', '.join(names)}." if names else self.text


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
        "did by the API, and why the next attempt is when it is.",
        {"": Call("get", "/sandbox/deliveries/{id}", subject="delivery")},
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
