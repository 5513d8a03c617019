"""Checks of a validator: a handler that responds with what is wrong with an order's parameters."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace

from checks import causes, response_time, tokens, validations, verdicts
from checks.lab import Lab
from checks.model import Check, Level, Need, Verdict
from checks.platform import Json
from checks.response_time import Measured
from checks.validations import Validated

# Seconds after which Connect gives up, and after which a customer has waited too long.
GIVES_UP, SLOW = 30.0, 5.0
_LATER = 5.0  # seconds for which a response is waited for after that
_MEASURED = "validator: a response about a draft"
_UNKNOWN = {"added_later": "as it was", "added_later_and_empty": ""}
_QUIET = 0.2  # seconds; a validator has no reason to change anything


def control(lab: Lab) -> Verdict:
    """Let the platform validate a draft."""
    result = validations.validate(lab, validations.draft(lab))
    if result.problem:
        return verdicts.failed(
            f"The validation of a draft failed: {result.problem}", *result.evidence
        )
    return verdicts.passed("The platform sent a draft and took the response.")


def echo_errors(lab: Lab) -> Verdict:
    """Let the platform validate a draft with each value that the handler must refuse."""
    if verdict := _cannot_judge(lab):
        return verdict
    for name, value in lab.invalid.items():
        result = validations.validate(lab, validations.draft(lab), {name: value})
        if verdict := _without_error(result, name, value):
            return verdict
    return verdicts.passed(f"Reported an error of {', '.join(lab.invalid)}.")


def errors_cleared(lab: Lab) -> Verdict:
    """Validate a refused value, and then a good one in the same draft."""
    if verdict := _cannot_judge(lab):
        return verdict
    for name, value in lab.invalid.items():
        verdict = _is_cleared(lab, name, value)
        if verdict.outcome != "pass":
            return verdict
    return verdicts.passed(f"Cleared the error of {', '.join(lab.invalid)}.")


def _is_cleared(lab: Lab, name: str, value: str) -> Verdict:
    draft = validations.draft(lab)
    good = validations.validate(lab, draft)
    if good.problem or good.params[name]["value_error"]:
        return verdicts.inconclusive(
            f"The value of {name} in a sample order is refused, too.", *good.evidence
        )
    bad = validations.validate(lab, draft, {name: value})
    if verdict := _without_error(bad, name, value):
        return verdict
    again = validations.validate(lab, draft, {name: good.params[name].get("value") or ""})
    if again.problem:
        return verdicts.failed(f"The validation failed: {again.problem}", *again.evidence)
    if again.params[name]["value_error"]:
        return verdicts.failed(
            f"{name} still had an error when its value was good again.", *again.evidence
        )
    return verdicts.passed(f"Cleared the error of {name}.")


def unknown_untouched(lab: Lab) -> Verdict:
    """Send a draft with parameters that the handler cannot know."""
    order = validations.shown_draft(lab)
    rows = validations.rows(order)
    known = copy.deepcopy(rows[0]) if rows else {"phase": "ordering", "type": "text"}
    known.pop("structured_value", None)
    unknown = {
        name: {**known, "id": name, "name": name, "title": name, "value": value, "value_error": ""}
        for name, value in _UNKNOWN.items()
    }
    order["asset"]["params"] = [*rows, *unknown.values()]
    sent, reply = validations.send(lab, order)
    if verdict := validations.invalid(sent, reply, order, "a draft with unknown parameters"):
        return verdict
    returned = validations.params(validations.content(reply))
    for name, row in unknown.items():
        now = returned.get(name, {})
        if changed := [key for key in row if now.get(key, row[key]) != row[key]]:
            return verdicts.failed(
                f"Changed {', '.join(changed)} of {name}, a parameter that it does not know.",
                *validations.exhibits(sent, reply),
            )
    return verdicts.passed("Left unknown parameters as they were.")


def seconds_5(lab: Lab) -> Verdict:
    """Respond about a draft within 5 s."""
    return response_time.within(SLOW, "a draft", _shared(lab))


def timeout_30s(lab: Lab) -> Verdict:
    """Respond about a draft before Connect gives up."""
    return response_time.within(GIVES_UP, "a draft", _shared(lab))


def _shared(lab: Lab) -> Iterator[Measured]:
    """Return the measurement that two checks share, and then a new one."""

    def measure() -> Measured:
        sent = validations.request(lab, validations.shown_draft(lab))
        return response_time.measure(lab, sent, GIVES_UP + _LATER, quiet=_QUIET)

    return response_time.shared(lab, _MEASURED, measure)


def empty_draft(lab: Lab) -> Verdict:
    """Send a draft of which no parameter has a value, in each form, and one without parameters."""
    order = validations.shown_draft(lab)
    rows = [
        {key: value for key, value in row.items() if key not in ("value", "structured_value")}
        for row in validations.rows(order)
    ]
    drafts: tuple[tuple[list[Json], str], ...] = (
        ([{**row, "value": ""} for row in rows], "a draft without values"),
        ([{**row, "value": None} for row in rows], "a draft whose values are null"),
        (rows, "a draft whose parameters have no key `value`"),
        ([], "a draft without parameters"),
    )
    for params, what in drafts:
        content = {**order, "asset": {**order["asset"], "params": params}}
        sent, reply = validations.send(lab, content)
        if verdict := validations.invalid(sent, reply, content, what):
            return verdict
    return verdicts.passed("Responded to drafts without values and without parameters.")


def wrong_token(lab: Lab) -> Verdict:
    """Send a draft with a token that is signed with another secret."""
    token = tokens.sign(validations.signer(lab).claims(), "JWT-the-secret-of-somebody-else")
    return _refuses(lab, token, "a token signed with another secret")


def no_header(lab: Lab) -> Verdict:
    """Send a draft without a token."""
    return _refuses(lab, "", "a request without a token")


def _refuses(lab: Lab, token: str, what: str) -> Verdict:
    sent = validations.request(lab, validations.shown_draft(lab), token)
    mark = lab.mark()
    reply = lab.send(sent)
    verdict = verdicts.refused(sent, reply, lab.after(mark, _QUIET), True, what)
    if verdict.cause != causes.HIDES:
        return verdict
    # A validator's response is all of its work: it may have refused nothing.
    text = f"Responded {reply.status} to {what} (expected a refusal, such as 401)."
    return replace(verdict, text=text, cause=causes.VALIDATES)


def _cannot_judge(lab: Lab) -> Verdict | None:
    """Return why a handler's errors cannot be judged, or None."""
    if not lab.invalid:
        return verdicts.skipped("Needs --invalid NAME=VALUE: a value that this handler refuses.")
    known = validations.params(validations.shown_draft(lab))
    if missing := [name for name in lab.invalid if name not in known]:
        return verdicts.inconclusive(
            f"The product's orders have no parameter {missing[0]}, which --invalid names."
        )
    return None


def _without_error(result: Validated, name: str, value: str) -> Verdict | None:
    if result.problem:
        return verdicts.failed(f"The validation failed: {result.problem}", *result.evidence)
    if not result.params[name]["value_error"]:
        return verdicts.failed(
            f"Reported no error of {name}, whose value was {json.dumps(value)}.", *result.evidence
        )
    return None


_NEEDS = frozenset({Need.VALIDATOR})
_WAITS = "The customer waits for the response while filling in the order. "
_LIMIT = "After 30 s the sandbox gives up: the customer is told that validation is not available."
_OTHERS = (
    "Anybody who knows the handler's URL can send it orders, and learn from the responses what it "
    "knows about customers."
)
_VERIFY = (
    'Verify the token with a library, the webhook\'s secret and the list ["HS256"] of allowed '
    "algorithms, before doing anything else; respond 401 where that fails."
)
_NO_CALLS = (
    "Check what can be checked without calls to other systems, and give those that are needed a "
    "timeout of a few seconds; respond without an error where one doesn't answer."
)

CHECKS = (
    Check(
        "validator.control",
        Level.MUST,
        "A draft is validated",
        "A draft, which the platform sends to the validator.",
        "A response with status 2xx that the platform takes: a JSON object, either the whole order "
        "or the changed parts.",
        "Without it, the other checks of the group would prove nothing: a handler that refuses "
        "everything refuses forged requests, too.",
        "Respond 200 with the order that was sent, with your changes in `asset.params`.",
        control,
        is_control=True,
        needs=_NEEDS,
    ),
    Check(
        "validator.echo_errors",
        Level.MUST,
        "A value that is refused gets an error",
        "A draft with each value that `--invalid` names.",
        "The parameter has a `value_error` afterwards.",
        "The distributor shows the error beside the parameter. Without one, the customer sends an "
        "order that can't be fulfilled.",
        "Put the error into `value_error` of the parameter in `asset.params`, and return the "
        "parameter with its `id`.",
        echo_errors,
        needs=_NEEDS,
    ),
    Check(
        "validator.errors_cleared",
        Level.MUST,
        "The error of a corrected value is gone",
        "A draft with a value that `--invalid` names; then the same draft with a good value, whose "
        "error the platform has cleared.",
        "The parameter has no `value_error` afterwards.",
        "The customer corrects what was wrong, and can't go on while the error comes back.",
        "Decide by the values in the request alone, in each request anew, and set `value_error` of "
        "each parameter that you check: to an empty text where there is no error.",
        errors_cleared,
        needs=_NEEDS,
    ),
    Check(
        "validator.unknown_untouched",
        Level.MUST,
        "Unknown parameters are left alone",
        "A draft with two parameters that the handler can't know, one of them empty.",
        "They come back as they were sent, or not at all.",
        "Products get new parameters. A validator that changes or refuses what it doesn't know "
        "blocks orders until it is updated.",
        "Change only the parameters that you know, by their `id`.",
        unknown_untouched,
        needs=_NEEDS,
    ),
    Check(
        "validator.seconds_5",
        Level.SHOULD,
        "A draft is validated within 5 s",
        "A draft.",
        "A response with status 2xx within 5 s.",
        _WAITS + _LIMIT,
        _NO_CALLS,
        seconds_5,
        needs=_NEEDS,
        measurement=_MEASURED,
    ),
    Check(
        "validator.timeout_30s",
        Level.MUST,
        "A draft is validated within 30 s",
        "A draft.",
        "A response with status 2xx within 30 s.",
        _WAITS + _LIMIT,
        _NO_CALLS,
        timeout_30s,
        needs=_NEEDS,
        measurement=_MEASURED,
    ),
    Check(
        "validator.empty_draft",
        Level.MUST,
        "A draft without values is validated",
        "A draft of which no parameter has a value: it is empty, null, or missing. And a draft "
        "without parameters.",
        "A response with status 2xx and a JSON object to each.",
        "A draft is validated while it is filled in, so in the beginning nothing has a value.",
        "Expect each parameter to be empty or missing. Whether an empty one is an error is up to "
        "you.",
        empty_draft,
        needs=_NEEDS,
    ),
    Check(
        "validator.wrong_token",
        Level.MUST,
        "A draft with a forged token is refused",
        "A draft, with a token that is signed with another secret.",
        "A status that is not 2xx.",
        _OTHERS,
        _VERIFY,
        wrong_token,
        needs=_NEEDS,
    ),
    Check(
        "validator.no_header",
        Level.MUST,
        "A draft without a token is refused",
        "A draft, without a token.",
        "A status that is not 2xx.",
        _OTHERS,
        _VERIFY,
        no_header,
        needs=_NEEDS,
    ),
)
