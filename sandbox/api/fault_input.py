"""The body of `POST /sandbox/faults`: a fault to arm, checked against the registry of kinds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from requests_queue.catalog.models import Account
from requests_queue.errors import FieldError, Invalid
from requests_queue.fields import Anything, Free, Id, Input, Integer, List, Strict, String, Values
from sandbox.api.fields import NumberField, SecondsField
from sandbox.api.queries import Word
from sandbox.faults import kinds, paths
from sandbox.faults.arming import DEFAULT_SEED, FaultSpec
from sandbox.faults.kinds import API, DELIVERY, KINDS, SIDES, Kind, Parameter
from webhooks.models import Webhook

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_TTL = 24 * 3600.0  # seconds
_MOST = 1_000_000  # requests of a count
_SCOPES = {DELIVERY: ("webhook",), API: ("account", "method", "path")}


class FaultInput(Input):
    """A fault to arm; what is left out doesn't limit it."""

    kind = Word(KINDS, required=True, help_text="What goes wrong.")
    side = Word(
        SIDES,
        help_text="`delivery`: our request to a handler; `api`: our response to its call. "
        "Needed where the kind has both and no scope says it.",
    )
    name = String(100, allow_blank=False, help_text="By default the kind and a number.")
    parameters = Free(help_text="Values of the kind's parameters.")
    webhook = Id(help_text="Only requests of this webhook.")
    account = Id(help_text="Only calls of this account.")
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

    def spec(self, data: Any) -> FaultSpec:
        """Return the fault that a body describes; raises Invalid, with all errors of a field."""
        values: Values = self.check(data)
        refuse_unknown(data, self.fields, "")
        kind = KINDS[values["kind"]]
        side = _side(kind, values)
        _check_counts(values)
        return FaultSpec(
            kind.name,
            side,
            values.get("name", ""),
            _parameters(kind, side, values.get("parameters", {})),
            _scope(values),
            values.get("probability"),
            values.get("times"),
            values.get("nth"),
            values.get("after", 0),
            values.get("ttl"),
            values.get("seed", DEFAULT_SEED),
        )


def refuse_unknown(data: Mapping[str, Any], known: Any, path: str) -> None:
    """Raise Invalid for a key without a field: a misspelled one would arm another fault."""
    available = ", ".join(known) or "none"
    errors = [
        FieldError(f"{path}{str(name)[:40]}", f"Unknown key. Available: {available}.")
        for name in data
        if name not in known
    ]
    if errors:
        raise Invalid.of(errors)


def _side(kind: Kind, values: Values) -> str:
    """Return the side that the body names, or that its scope or its kind leave."""
    scoped = {side for side, names in _SCOPES.items() if any(values.get(n) for n in names)}
    if len(scoped) > 1:
        raise Invalid("webhook", "A fault concerns deliveries or calls of the API, not both.")
    named = {values["side"]} if "side" in values else set()
    if scoped and named and scoped != named:
        [side] = named
        allowed = ", ".join(_SCOPES[side])
        raise Invalid("side", f"Faults of side {side} can be limited by {allowed} only.")
    possible = (named or scoped or set(kind.sides)) & set(kind.sides)
    if not possible:
        raise Invalid("kind", f"{kind.name} exists on side {' and '.join(kind.sides)} only.")
    if len(possible) > 1:
        raise Invalid("side", f"Required for {kind.name}: {' or '.join(kind.sides)}.")
    return possible.pop()


def _scope(values: Values) -> dict[str, str]:
    scope = {name: values[name] for names in _SCOPES.values() for name in names if values.get(name)}
    if "webhook" in scope and not Webhook.objects.filter(pk=scope["webhook"]).exists():
        raise Invalid("webhook", f"There is no webhook {scope['webhook'][:40]}.")
    if "account" in scope and not Account.objects.filter(pk=scope["account"]).exists():
        raise Invalid("account", f"There is no account {scope['account'][:40]}.")
    if "path" in scope:
        if not scope["path"].startswith("/"):
            raise Invalid("path", "A path begins with a slash, for example /requests/*/approve.")
        # The web server does the same to the paths of requests.
        scope["path"] = paths.below_api(re.sub("/+", "/", scope["path"]))
    return scope


def _check_counts(values: Values) -> None:
    for other in ("probability", "after"):
        if values.get("nth") and other in values:
            raise Invalid("nth", f"Cannot be combined with {other}.")


def _parameters(kind: Kind, side: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a kind with their defaults; raises Invalid."""
    declared = kind.parameters_of(side)
    refuse_unknown(given, [parameter.name for parameter in declared], "parameters.")
    fields = {parameter.name: _field(parameter) for parameter in declared}
    form = type("ParametersInput", (Input,), fields)()
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
