"""A validator that plays by rules: `manage.py listen --validate "region=Not offered"`."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox import parameters

Json = dict[str, Any]


class BadRule(ValueError):
    """A rule of the wrong form; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said of a parameter: always, or only where it has that value."""

    param: str
    error: str
    value: str | None = None

    def applies(self, param: Mapping[str, Any]) -> bool:
        """Whether the parameter has the value that this is about."""
        return self.value is None or self.value == (param.get("value") or "")


@dataclass(slots=True)
class Validation:
    """An object under validation as it is answered; what it was, and what is said, in words."""

    answer: Json
    lines: list[str] = field(default_factory=list)
    said: str = ""


def parse(text: str) -> Rule:
    """Return the rule of `PARAM=ERROR` or `PARAM:VALUE=ERROR`; raises BadRule."""
    about, equals, error = text.partition("=")
    name, colon, value = about.partition(":")
    if not equals or not name.strip():
        raise BadRule(f"--validate is PARAM=ERROR or PARAM:VALUE=ERROR, not {text!r}.")
    return Rule(name.strip(), error.strip(), value if colon else None)


def under_validation(body: bytes) -> Json | None:
    """Return the object that a call shows; None for a wake-up, which has no parameters."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _params(found) is not None else None


def _params(shown: Mapping[str, Any]) -> list[Json] | None:
    """Return the parameters of a fulfillment request, or else of a tier configuration request."""
    asset = shown.get("asset")
    for place in (asset, shown):
        params = place.get("params") if isinstance(place, Mapping) else None
        if isinstance(params, list) and all(isinstance(p, dict) for p in params):
            return params
    return None


def validate(shown: Json, rules: Sequence[Rule]) -> Validation:
    """Return the whole object with what the rules say of its parameters.

    Of several rules for one parameter the first that applies counts; where none does, nothing is
    said against it any longer.
    """
    done = Validation(copy.deepcopy(shown))
    params = {str(param.get("id")): param for param in _params(done.answer) or ()}
    named = list(dict.fromkeys(rule.param for rule in rules))
    head = (str(shown.get(key)) for key in ("id", "type", "status"))
    done.lines.append(f"validate {' '.join(head)}")
    done.lines += [f"  {name} = {parameters.value_of(param)}" for name, param in params.items()]
    for name in named:
        if name not in params:
            known = ", ".join(params) or "none"
            done.lines.append(f"warning: there is no parameter {name}; there are {known}")
    said = [_say(name, params[name], rules) for name in named if name in params]
    done.said = "; ".join(said) or "nothing changed"
    return done


def _say(name: str, param: Json, rules: Sequence[Rule]) -> str:
    """Set the parameter's error; return in words what was set."""
    found = (rule.error for rule in rules if rule.param == name and rule.applies(param))
    error, before = next(found, ""), param.get("value_error")
    param["value_error"] = error
    if error:
        return f"{name}: {parameters.shown(error)}"
    return f"{name} {'is cleared' if before else 'is right'}"
