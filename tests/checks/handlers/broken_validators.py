"""Handlers that validate drafts badly; they process orders well."""

from __future__ import annotations

import time
from functools import cached_property

import jwt

from tests.checks.handlers.reference import Handler, Json
from tests.checks.handlers.web import Call, Response

OWN = ("domain", "customer_domain")


class FindsNoErrors(Handler):
    """It returns each draft as it is."""

    def validate_param(self, param: Json) -> None:
        return


class NeverClearsErrors(Handler):
    """It sets an error, and leaves it to the platform to clear it when the value is changed."""

    def validate_param(self, param: Json) -> None:
        error = param.get("value_error", "")
        super().validate_param(param)
        param["value_error"] = param.get("value_error") or error


class RemembersErrors(Handler):
    """It has refused a parameter of an order once, and doesn't look at it again."""

    def validate(self, order: Json) -> Json:
        errors = self.errors.setdefault(order.get("id"), {})
        super().validate(order)
        for param in order["asset"].get("params") or []:
            if error := errors.get(param["id"]) or param.get("value_error"):
                errors[param["id"]] = param["value_error"] = error
        return order

    @cached_property
    def errors(self) -> Json:
        return {}


class ExpectsTexts(Handler):
    """It takes it for granted that each value is a text."""

    def validate_param(self, param: Json) -> None:
        param.get("value", "").strip()
        super().validate_param(param)


class ExpectsValues(Handler):
    """It takes it for granted that each parameter has a value, which may be null."""

    def validate_param(self, param: Json) -> None:
        param["value"]
        super().validate_param(param)


class ReturnsNothing(Handler):
    """It validates the draft, and responds with an empty object."""

    def validate(self, order: Json) -> Json:
        super().validate(order)
        return {}


class EmptiesUnknownParameters(Handler):
    """It removes the values of parameters that it doesn't know."""

    def validate_param(self, param: Json) -> None:
        super().validate_param(param)
        if param["id"] not in OWN:
            param["value"] = ""


class MarksUnknownParameters(Handler):
    """It takes a parameter that it doesn't know for an error."""

    def validate_param(self, param: Json) -> None:
        if param["id"] in OWN:
            super().validate_param(param)
        else:
            param["value_error"] = "Unknown."


class ValidatesForSixSeconds(Handler):
    """It asks another system, which is slow."""

    seconds = 6.0

    def validate(self, order: Json) -> Json:
        time.sleep(self.seconds)
        return super().validate(order)


class ValidatesForFortySeconds(Handler):
    """It never returns connections to a pool of one, so only its first validation is fast."""

    is_first = True

    def validate(self, order: Json) -> Json:
        if not self.is_first:
            time.sleep(40)
        self.is_first = False
        return super().validate(order)


class NeedsADomain(Handler):
    """It takes it for granted that each draft has the parameter that it validates."""

    def respond(self, call: Call) -> Response:
        order = self.read_order(call.body)
        if order is not None and not {row["id"] for row in order["asset"]["params"]} & set(OWN):
            return Response(500)
        return super().respond(call)


class ValidatesForAnyToken(Handler):
    """It checks only that there is a token: nothing is changed, after all."""

    def respond(self, call: Call) -> Response:
        order = self.read_order(call.body)
        if order is None:
            return super().respond(call)
        try:
            self.token_in(self.header_of(call))
        except jwt.InvalidTokenError:
            return Response(401)
        return Response(200, self.validate(order))


class ValidatesWithoutToken(Handler):
    """It checks a draft's token only if there is one."""

    def respond(self, call: Call) -> Response:
        order = self.read_order(call.body)
        if order is None or self.header_of(call):
            return super().respond(call)
        return Response(200, self.validate(order))
