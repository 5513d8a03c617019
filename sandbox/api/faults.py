"""`/sandbox/faults`: what goes wrong on purpose, checked against the registry of kinds."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple, cast

from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.api.fields import (
    Anything,
    Free,
    Id,
    Integer,
    List,
    Strict,
    String,
    Values,
)
from requests_queue.api.resources import Field, Many, Part
from requests_queue.api.schema import Also, Untrusted, UntrustedJson
from requests_queue.catalog.models import Account, User
from requests_queue.errors import Invalid, Missing
from sandbox.api.schema import (
    Exact,
    NumberField,
    NumberText,
    Operation,
    Operations,
    Query,
    SecondsField,
    Word,
)
from sandbox.faults import api_side, armed, kinds
from sandbox.faults.api_side import Caller
from sandbox.faults.armed import DEFAULT_SEED
from sandbox.faults.kinds import API, DELIVERY, KINDS, SIDES, TASK, Kind, Parameter
from sandbox.models import Fault, HeldResponse
from sandbox.timeline import observer
from sandbox.timeline.observer import MAX_WAIT, Result, json_result, refusal, respond
from sandbox.timeline.timeline import Seconds, moment
from webhooks.models import Webhook

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_TTL = 24 * 3600.0  # seconds
_MOST = 1_000_000  # requests of a count
_SCOPES = {DELIVERY: ("webhook",), API: ("account", "method", "path"), TASK: ("account",)}
_SCOPE_NAMES = ("webhook", "account", "method", "path")
TIMEOUT = 5.0  # real seconds
_MOST_HELD = 10_000


class FaultInput(Exact):
    """A fault to arm; what is left out doesn't limit it."""

    kind = Word(KINDS, required=True, help_text="What goes wrong.")
    side = Word(
        SIDES,
        help_text="`delivery`: our request to a handler; `api`: our response to its call; "
        "`task`: our task for an extension. Needed where the kind has both and no scope says it.",
    )
    name = String(100, allow_blank=False, help_text="By default the kind and a number.")
    parameters = Free(help_text="Values of the kind's parameters.")
    webhook = Id(help_text="Only requests of this webhook.")
    account = Id(help_text="Only calls of this account, or tasks of its extensions.")
    method = Word(METHODS, help_text="Only calls of this method.")
    path = String(
        300,
        allow_blank=False,
        help_text="Only calls of this path below /public/v1: `*` is any text within a segment, "
        "`**` also across segments.",
    )
    probability = NumberField(0, 1, "probability")
    times = Integer(1, _MOST, help_text="How often it fires at most.")
    nth = List(
        Integer(1, _MOST),
        allow_empty=False,
        max_length=1000,
        help_text="The ordinals of the matching requests that it fires for, from 1; instead of a "
        "probability.",
    )
    after = Integer(0, _MOST, help_text="How many matching requests it skips first.")
    ttl = SecondsField(0.001, MAX_TTL)
    seed = Integer(0, 2**63 - 1, help_text="Another seed draws other requests.")

    def spec(self, data: Any) -> dict[str, Any]:
        """Return the arguments of `arm`; raises Invalid, with all errors of a field."""
        values: Values = self.check(data)
        kind = KINDS[values["kind"]]
        side = _side(kind, values)
        nth = values.get("nth")
        for other in ("probability", "after"):
            if nth and other in values:
                raise Invalid("nth", f"Cannot be combined with {other}.")
        return {
            "kind": kind.name,
            "side": side,
            "name": values.get("name", ""),
            "parameters": _parameters(kind, side, values.get("parameters", {})),
            "scope": _scope(values),
            "probability": values.get("probability"),
            "times": values.get("times"),
            "nth": sorted(set(nth)) if nth else None,
            "after": values.get("after", 0),
            "ttl": values.get("ttl"),
            "seed": values.get("seed", DEFAULT_SEED),
        }


def _side(kind: Kind, values: Values) -> str:
    """Return the side that the body names, or that its scope or its kind leave."""
    given = {name for name in _SCOPE_NAMES if values.get(name)}
    scoped = {side for side, names in _SCOPES.items() if given <= set(names)}
    if not scoped:
        raise Invalid("webhook", "A fault concerns deliveries or calls of the API, not both.")
    named = {values["side"]} if "side" in values else scoped
    if not named <= scoped:
        [side] = named
        allowed = ", ".join(_SCOPES[side])
        raise Invalid("side", f"Faults of side {side} can be limited by {allowed} only.")
    possible = named & set(kind.sides)
    if not possible:
        raise Invalid("kind", f"{kind.name} exists on side {' and '.join(kind.sides)} only.")
    if len(possible) > 1:
        raise Invalid("side", f"Required for {kind.name}: {' or '.join(kind.sides)}.")
    return possible.pop()


def _scope(values: Values) -> dict[str, str]:
    scope = {name: values[name] for name in _SCOPE_NAMES if values.get(name)}
    if "webhook" in scope and not Webhook.objects.filter(pk=scope["webhook"]).exists():
        raise Invalid("webhook", f"There is no webhook {scope['webhook'][:40]}.")
    if "account" in scope and not Account.objects.filter(pk=scope["account"]).exists():
        raise Invalid("account", f"There is no account {scope['account'][:40]}.")
    if "path" in scope:
        if not scope["path"].startswith("/"):
            raise Invalid("path", "A path begins with a slash, for example /requests/*/approve.")
        # The web server does the same to the paths of requests.
        scope["path"] = kinds.below_api(re.sub("/+", "/", scope["path"]))
    return scope


def _parameters(kind: Kind, side: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a kind with their defaults; raises Invalid."""
    declared = kind.parameters_of(side)
    fields = {parameter.name: _field(parameter) for parameter in declared}
    form = type("ParametersInput", (Exact,), fields)()
    values = form.check(given, "parameters")
    defaults = {p.name: p.default for p in declared if not p.is_required and p.default is not None}
    return {**defaults, **values}


def _field(parameter: Parameter) -> Strict:
    required = parameter.is_required
    if parameter.type == kinds.INTEGER:
        return Integer(int(parameter.low), int(parameter.high), required=required)
    if parameter.type == kinds.NUMBER:
        return NumberField(parameter.low, parameter.high, parameter.unit, required=required)
    if parameter.type == kinds.SECONDS:
        return SecondsField(parameter.low, parameter.high, required=required)
    return Anything(required=required)


HELD_CALL = Part(
    "HeldCall",
    "A call whose response is held; `ordinal` is its place among the fault's matching calls.",
    {"ordinal": Field(int, "number"), "method": str, "path": Untrusted},
)


class ShownFault(NamedTuple):
    """A fault that `armed` has returned, and the responses that it holds."""

    row: Fault
    held: Sequence[HeldResponse]

    @property
    def expires_in(self) -> float | None:
        """Return the seconds until it expires, 0 if it has."""
        left: float | None = getattr(self.row, "expires_in", None)
        return None if left is None else max(0.0, round(left, 3))


def _in_scope(name: str, type: Any = str) -> Field:
    return Field(type | None, lambda fault: fault.row.scope.get(name))


FAULT = Part(
    "Fault",
    "A fault: `is_armed` until it has expired or has fired so many times; `held` are the calls "
    "whose response waits, the oldest first.",
    {
        "id": Field(str, "row.pk"),
        "name": Field(Untrusted, "row.name"),
        "kind": Field(Annotated[str, Also(enum=list(KINDS))], "row.kind"),
        "side": Field(Literal["delivery", "api", "task"], "row.side"),
        "parameters": Field(UntrustedJson, "row.parameters"),
        "webhook": _in_scope("webhook"),
        "account": _in_scope("account"),
        "method": _in_scope("method"),
        "path": _in_scope("path", Untrusted),
        "probability": Field(float | None, "row.probability"),
        "times": Field(int | None, "row.times"),
        "nth": Field(list[int] | None, "row.nth"),
        "after": Field(int, "row.after"),
        "seed": Field(int, "row.seed"),
        "armed_at": moment("row.armed_at"),
        "expires_in": Seconds | None,
        "is_armed": Field(bool, lambda fault: armed.is_armed(fault.row)),
        "asked": Field(
            Annotated[int, Also(description="Matching requests since it was armed.")], "row.asked"
        ),
        "fired": Field(Annotated[int, Also(description="Requests that it changed.")], "row.fired"),
        "held": Many(HELD_CALL, attrgetter("held")),
    },
)
FAULTS = Part("Faults", "Faults, in the order of arming.", {"faults": [FAULT]})
RELEASED = Part(
    "Released",
    "The calls whose responses were released, and those that still wait.",
    {"released": [HELD_CALL], "held": [HELD_CALL]},
)


class FaultQuery(Query):
    """How many held calls to wait for."""

    held = NumberText(1, _MOST_HELD, help_text="Wait until so many responses are held.")
    timeout = SecondsField(0, MAX_WAIT)


class ReleaseInput(Exact):
    """How many responses to release."""

    count = Integer(1, _MOST_HELD, help_text="The oldest so many; by default all.")


class FaultsView(APIView):
    """`/sandbox/faults`: arm, list and clear faults."""

    operations: Operations = {
        "get": Operation("Faults", "List faults", FAULTS),
        "post": Operation("Faults", "Arm a fault", FAULT, 201, body=FaultInput, errors=(409,)),
        "delete": Operation("Faults", "Clear all faults", FAULTS),
    }

    def get(self, request: Request) -> Response:
        """Return the faults that are not cleared, in the order of arming, with their counts."""
        return Response({"faults": represent(armed.listed())})

    def post(self, request: Request) -> Response:
        """Arm a fault: 201; 409 if another one has its name."""
        row = armed.arm(**FaultInput().spec(request.data))
        return Response(represent([row])[0], status=201)

    def delete(self, request: Request) -> Response:
        """Clear all faults, and return them with their last counts."""
        return Response({"faults": represent(armed.clear_all())})


class FaultView(APIView):
    """`/sandbox/faults/{id}`: show and clear a fault."""

    operations: Operations = {
        "get": Operation("Faults", "Show a fault", FAULT, query=FaultQuery, errors=(404, 429)),
        "delete": Operation("Faults", "Clear a fault", FAULT, errors=(404,)),
    }

    def get(self, request: Request, id: str) -> HttpResponse:
        """Return a fault with its counts; 404 if it is cleared.

        With `held`, wait until so many responses are held, or until `timeout` (5 seconds of real
        time by default) has passed, and return the fault as it is then.
        """
        values = FaultQuery().check_query(request.query_params)
        fault = _show(id)
        count = values.get("held", 0)
        if len(fault["held"]) >= count:
            return Response(fault)
        caller = Caller(
            owner=str(cast(User, request.user).pk),
            deadline=time.monotonic() + values.get("timeout", TIMEOUT),
            fault=id,
            count=count,
            answer=lambda: _answer(id),
        )
        observer.add(api_side.callers, caller)
        return respond(request, caller.future)

    def delete(self, request: Request, id: str) -> Response:
        """Clear a fault, and return it with its last counts; 404 if it is cleared already."""
        return Response(represent([armed.clear(id)])[0])


class ReleaseView(APIView):
    """`/sandbox/faults/{id}/release`: release held responses."""

    operations: Operations = {
        "post": Operation(
            "Faults", "Release held responses", RELEASED, body=ReleaseInput, errors=(404,)
        )
    }

    def post(self, request: Request, id: str) -> Response:
        """Send the responses that the fault holds, the oldest first; 404 if it is cleared."""
        count = ReleaseInput().check(request.data).get("count")
        armed.get(id)
        released = api_side.release(id, count)
        calls = {"released": released, "held": api_side.held([id]).get(id, ())}
        return Response({key: list(map(HELD_CALL.represent, calls[key])) for key in calls})


def represent(rows: Sequence[Fault]) -> list[dict[str, Any]]:
    """Return faults as the API shows them; one statement for all that they hold."""
    held = api_side.held([row.pk for row in rows])
    return [FAULT.represent(ShownFault(row, held.get(row.pk, ()))) for row in rows]


def _show(fault_id: str) -> dict[str, Any]:
    """Return a fault as the API shows it; raises Missing.

    What it holds is read first, so that it has fired for all of that.
    """
    held = api_side.held([fault_id]).get(fault_id, ())
    return FAULT.represent(ShownFault(armed.get(fault_id), held))


def _answer(fault_id: str) -> Result:
    """Return the response of a caller that has waited for held responses."""
    try:
        return json_result(200, _show(fault_id))
    except Missing as missing:
        return refusal(missing)


urlpatterns = [
    path("faults", FaultsView.as_view()),
    path("faults/<str:id>", FaultView.as_view()),
    path("faults/<str:id>/release", ReleaseView.as_view()),
]
