"""The registry of faults: what can go wrong, on which side, and with which parameters.

The API, the command line, the plugin, the portal and the documentation are built from it. Names are
those of toxiproxy, Envoy and MockServer where these have the fault; the others are ours.

Which requests a fault fires for is a pure function of seed, name and ordinals. These are counted
since the fault was armed, so the same requests in the same order have the same faults in another
process and on another day. Ids don't matter: they differ from run to run. No ORM, no Django.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_PREFIX = "/public/v1"
_WILDCARD = re.compile(r"\*+")
# Our request to a handler, our response to a handler's call of the API, and our task for a runner.
DELIVERY, API, TASK = "delivery", "api", "task"
SIDES = (DELIVERY, API, TASK)

# Types of parameters; seconds may be written as a duration, for example 5m.
INTEGER, NUMBER, SECONDS, JSON = "integer", "number", "seconds", "json"

REQUIRED: Any = object()  # the default of a parameter without one

_MAX_MS = 600_000
_DAY = 24 * 3600


def below_api(path: str) -> str:
    """Return a path of the API without its prefix and without a slash at its end."""
    if path == _PREFIX or path.startswith(f"{_PREFIX}/"):
        path = path[len(_PREFIX) :]
    return path.rstrip("/") or "/"


def matches(glob: str, path: str) -> bool:
    """Return whether a path has the form of a glob."""
    return _compiled(glob).fullmatch(path) is not None


@lru_cache(maxsize=256)
def _compiled(glob: str) -> re.Pattern[str]:
    parts, last = [], 0
    for found in _WILDCARD.finditer(glob):
        parts.append(re.escape(glob[last : found.start()]))
        parts.append("[^/]*" if len(found.group()) == 1 else ".*")
        last = found.end()
    return re.compile("".join([*parts, re.escape(glob[last:])]), re.DOTALL)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a kind; None as the default means that it is absent."""

    name: str
    type: str
    text: str
    default: Any = REQUIRED
    low: float = 0
    high: float = 0
    unit: str = ""
    sides: tuple[str, ...] = SIDES

    @property
    def is_required(self) -> bool:
        """Whether it has no default."""
        return self.default is REQUIRED

    @property
    def description(self) -> str:
        """Return what it means, its limits, and its default."""
        if self.type == JSON:
            return f"{self.text} Optional."
        limits = f"From {_number(self.low)} to {_number(self.high)}"
        unit = f" {self.unit}" if self.unit else ""
        text = " or a duration" if self.type == SECONDS else ""
        return f"{self.text} {limits}{unit}{text}; {self._default}."

    @property
    def _default(self) -> str:
        if self.default is None:
            return "optional"
        return "required" if self.is_required else f"{_number(self.default)} by default"


def _number(value: float) -> str:
    return f"{value:,.10g}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault; `texts` say what it does, by side.

    At most one fault that `is_final` fires for a request: it decides how the request ends.
    """

    name: str
    texts: Mapping[str, str]
    parameters: tuple[Parameter, ...] = ()
    is_final: bool = True

    @property
    def sides(self) -> tuple[str, ...]:
        """Return the sides on which it can be armed."""
        return tuple(self.texts)

    def parameters_of(self, side: str) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if side in p.sides)


_STATUS = Parameter("status", INTEGER, "HTTP status of the response.", 503, 400, 599)
_ENDS_AFTER = Parameter(
    "seconds",
    SECONDS,
    "After how many seconds the connection is reset.",
    300,
    0,
    _DAY,
    "seconds",
    (API,),
)

_ALL = (
    Kind(
        "latency",
        {
            DELIVERY: "The request is sent later.",
            API: "The response is sent later; the work is done at once.",
        },
        (
            Parameter("ms", NUMBER, "Delay.", REQUIRED, 0, _MAX_MS, "milliseconds"),
            Parameter(
                "jitter",
                NUMBER,
                "By how much the delay is shorter or longer at most.",
                0,
                0,
                _MAX_MS,
                "milliseconds",
            ),
        ),
        is_final=False,
    ),
    Kind(
        "timeout",
        {
            DELIVERY: "The handler receives the request; its response is ignored until the "
            "attempt times out.",
            API: "The work is done; no response is sent.",
        },
        (_ENDS_AFTER,),
    ),
    Kind(
        "reset_peer",
        {
            DELIVERY: "The connection is reset as soon as the request is sent.",
            API: "The work isn't done; the connection is reset without a response.",
        },
    ),
    Kind(
        "limit_data",
        {
            DELIVERY: "The connection is reset after so many bytes of the request's body.",
            API: "The work is done; the connection is reset after so many bytes of the response's "
            "body. A shorter one is complete.",
        },
        (Parameter("bytes", INTEGER, "Bytes of the body that are sent.", REQUIRED, 0, 2**31 - 1),),
    ),
    Kind(
        "slicer",
        {
            DELIVERY: "The request's body is sent in small pieces.",
            API: "The response's body is sent in small pieces.",
        },
        (
            Parameter("size", INTEGER, "Bytes of a piece.", 64, 1, 2**31 - 1),
            Parameter("delay", NUMBER, "Pause between two pieces.", 10, 0, _MAX_MS, "milliseconds"),
        ),
        is_final=False,
    ),
    Kind(
        "abort",
        {
            DELIVERY: "The handler isn't called; the attempt has this response.",
            API: "The work isn't done; the call has this response.",
        },
        (
            _STATUS,
            Parameter(
                "retry_after",
                INTEGER,
                "Value of the header Retry-After.",
                None,
                0,
                _DAY,
                "seconds",
            ),
            Parameter("body", JSON, "Body of the response: text, or JSON.", None),
        ),
    ),
    Kind(
        "succeed_first",
        {
            DELIVERY: "The first n requests are sent, later ones have this response.",
            API: "The first n calls are served, later ones have this response.",
        },
        (Parameter("n", INTEGER, "How many succeed.", REQUIRED, 1, 1_000_000), _STATUS),
    ),
    Kind(
        "fail_first",
        {
            DELIVERY: "The first n requests aren't sent and have this response.",
            API: "The first n calls aren't served and have this response.",
        },
        (Parameter("n", INTEGER, "How many fail.", REQUIRED, 1, 1_000_000), _STATUS),
    ),
    Kind(
        "outage",
        {
            DELIVERY: "For some time, requests aren't sent and have this response.",
            API: "For some time, calls aren't served and have this response.",
        },
        (
            Parameter(
                "after",
                SECONDS,
                "Platform time from arming to the outage.",
                0,
                0,
                366 * _DAY,
                "seconds",
            ),
            Parameter(
                "for",
                SECONDS,
                "Platform time that the outage lasts.",
                REQUIRED,
                0.001,
                366 * _DAY,
                "seconds",
            ),
            _STATUS,
        ),
    ),
    Kind(
        "duplicate",
        {DELIVERY: "The request is sent twice; the first response counts."},
        (
            Parameter(
                "delay",
                NUMBER,
                "By how much the second request is sent later.",
                0,
                0,
                _MAX_MS,
                "milliseconds",
            ),
        ),
        is_final=False,
    ),
    Kind(
        "reorder",
        {DELIVERY: "The request is sent after later requests of its webhook."},
        (
            Parameter("window", INTEGER, "How many later requests are sent first.", 1, 1, 1000),
            Parameter(
                "ms",
                NUMBER,
                "How long it waits for them at most.",
                1000,
                0,
                _MAX_MS,
                "milliseconds",
            ),
        ),
        is_final=False,
    ),
    Kind(
        "drop",
        {
            DELIVERY: "The request is lost on its way: the handler isn't called, and the attempt "
            "times out.",
            API: "The call is lost on its way: the work isn't done, and no response is sent.",
        },
        (_ENDS_AFTER,),
    ),
    Kind(
        "stale_token",
        {DELIVERY: "The token has expired."},
        (Parameter("seconds", SECONDS, "How long ago it expired.", 60, 1, 366 * _DAY, "seconds"),),
        is_final=False,
    ),
    Kind(
        "clock_skew",
        {DELIVERY: "The times in payload and token are those of a clock that is wrong."},
        (
            Parameter(
                "seconds",
                NUMBER,
                "By how much it is ahead, or behind if negative.",
                REQUIRED,
                -366 * _DAY,
                366 * _DAY,
                "seconds",
            ),
        ),
        is_final=False,
    ),
    Kind(
        "rotate_secret",
        {DELIVERY: "The token is signed with another secret, which the handler doesn't know."},
        is_final=False,
    ),
    Kind("no_token", {DELIVERY: "The request has no token."}, is_final=False),
    Kind(
        "lost_response",
        {API: "The work is done; the connection is reset before the first byte of the response."},
    ),
    Kind(
        "hold",
        {API: "The work is done; the response waits until it is released."},
        is_final=False,
    ),
    Kind(
        "hold_call",
        {API: "The call waits until it is released; then it is served."},
        is_final=False,
    ),
    Kind(
        "lost_task",
        {
            TASK: "The task is lost on its way: the runner doesn't get it, and after 5 minutes of "
            "platform time it is sent again.",
        },
    ),
    Kind("duplicate_task", {TASK: "The task is sent twice; the first result counts."}),
    Kind(
        "restart_gateway",
        {
            TASK: "The task is sent, then the connections of all runners are closed with 1012, as "
            "when the gateway restarts.",
        },
    ),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}


@dataclass(frozen=True, slots=True)
class FaultResponse:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def build_response(name: str, parameters: Mapping[str, Any], instead_of: str) -> FaultResponse:
    """Return what the parameters of a fault say; by default an error as Connect's API has it."""
    status: int = parameters["status"]
    body: Any = parameters.get("body")
    if body is None:
        text = f"The fault {name} responds in place of {instead_of}."
        body = {"error_code": f"SYS_{status}", "errors": [text]}
    is_text = isinstance(body, str)
    content: str = body if is_text else json.dumps(body, ensure_ascii=False)
    headers = {"Content-Type": "text/plain; charset=utf-8" if is_text else "application/json"}
    if (seconds := parameters.get("retry_after")) is not None:
        headers["Retry-After"] = str(seconds)
    return FaultResponse(status, headers, content.encode())


@dataclass(frozen=True, slots=True)
class Rule:
    """How often a fault fires; `nth` are ordinals of matching requests, from 1.

    At most one of `probability` and `nth` is set; `after` skips the first matching requests.
    """

    probability: float | None = None
    times: int | None = None
    nth: frozenset[int] | None = None
    after: int = 0


def fires(
    rule: Rule,
    kind: str,
    parameters: Mapping[str, Any],
    *,
    number: int,
    elapsed: float,
    chance: float,
) -> bool:
    """Return whether a fault fires for the matching request of this number, from 1.

    `elapsed` are the seconds of platform time since it was armed, `chance` is from `fraction`.
    """
    if rule.nth is not None and number not in rule.nth:
        return False
    position = number - rule.after
    if position <= 0 or not _is_due(kind, parameters, position, elapsed):
        return False
    return rule.probability is None or chance < rule.probability


def _is_due(kind: str, parameters: Mapping[str, Any], position: int, elapsed: float) -> bool:
    if kind == "fail_first":
        return bool(position <= parameters["n"])
    if kind == "succeed_first":
        return bool(position > parameters["n"])
    if kind == "outage":
        start = parameters["after"]
        return bool(start <= elapsed < start + parameters["for"])
    return True


def fraction(seed: int, name: str, ordinals: Sequence[int], purpose: str = "fires") -> float:
    """Return a number from 0 to below 1, the same for the same arguments."""
    text = json.dumps([seed, name, list(ordinals), purpose])
    digest = hashlib.sha256(text.encode()).digest()
    # 53 bits are what a float holds exactly.
    return (int.from_bytes(digest[:8]) >> 11) / 2**53


def delay(ms: float, jitter: float, share: float) -> float:
    """Return the seconds of a delay of `ms` that is up to `jitter` shorter or longer.

    `share` is from `fraction`.
    """
    return max(0.0, ms + (2 * share - 1) * jitter) / 1000
