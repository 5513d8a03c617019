"""Checks of tokens: how long they are valid, and what their claims mean."""

from __future__ import annotations

import json
import time
from typing import Any

from checks import causes, experiments, verdicts
from checks.experiments import CONTROL_TEXTS, control
from checks.history import UNTOUCHED
from checks.lab import Lab
from checks.listener import Listener
from checks.model import Check, Level, Verdict
from checks.tokens import seconds_from_now

_HOUR, _DECADE = 3600, 10 * 365 * 24 * 3600
# Longer than a leeway may be: "usually no more than a few minutes" (RFC 7519, 4.1.4).
_SIX_MINUTES = 360
# Seconds in which a handler receives a token before it expires, and until it comes again.
_SHORTLY, _LATER = 2, 3

_REFUSED = "A status that is not 2xx, no call that changes something, and the order stays pending."
_REQUIRE_EXP = (
    "Let the JWT library verify `exp` and require it: for example "
    '`jwt.decode(token, secret, ["HS256"], options={"require": ["exp"]})` in Python. Respond 401 '
    "where that fails."
)


def _refuses_exp(lab: Lab, *values: tuple[Any, str]) -> Verdict:
    """Send genuine tokens with another `exp`, which must be refused."""
    return experiments.refuses(
        lab,
        *(
            (lab.genuine(token=lab.signer.token(lab.signer.claims(exp=exp))), what)
            for exp, what in values
        ),
    )


def _refuses_older(lab: Lab, seconds: int, what: str) -> Verdict:
    """Send a token that expired so many seconds ago, and one that did up to a sixth earlier."""
    earlier = seconds + lab.platform.random.randrange(1, seconds // 6)
    return _refuses_exp(
        lab,
        (seconds_from_now(-seconds), f"a token that expired {what} ago"),
        (seconds_from_now(-earlier), f"a token that expired {earlier} seconds ago"),
    )


def expired_second(lab: Lab) -> Verdict:
    """Send a token that has expired a moment ago."""
    return _refuses_exp(lab, (seconds_from_now(-1), "a token that expired a second ago"))


def expired_six_minutes(lab: Lab) -> Verdict:
    """Send a token that has expired longer ago than clocks may differ."""
    return _refuses_older(lab, _SIX_MINUTES, "six minutes")


def expired_hour(lab: Lab) -> Verdict:
    """Send a token that has expired long ago."""
    return _refuses_older(lab, _HOUR, "an hour")


def expired_meanwhile(lab: Lab) -> Verdict:
    """Send the same token twice: while it is valid, and when it has expired."""
    expires = seconds_from_now(_SHORTLY)
    sent = lab.genuine(token=lab.signer.token(lab.signer.claims(exp=expires)))
    order, mark = lab.order(), lab.mark()
    reply = lab.send(sent)
    happened = lab.after_work(mark, [reply], [order])
    if (status := lab.status(order)) != "approved":
        return verdicts.inconclusive(
            f"{order} is {status} after the token came that was valid for {_SHORTLY} s.",
            verdicts.reply_exhibit(reply),
            happened.exhibit(),
        )
    time.sleep(max(0.0, expires + _LATER - time.time()))
    # Younger than the known token, so that a leeway for that one is one for this one, too.
    unknown = _refuses_exp(lab, (seconds_from_now(1 - _LATER), "a token that has just expired"))
    if unknown.cause == causes.ACTED:
        return verdicts.skipped(
            "The handler accepts any token for some time after its `exp` (token.expired_second), "
            "so it can't be told whether it remembers those that it has verified."
        )
    return experiments.refuses(lab, (sent, "a token that was valid before and has expired"))


def missing_exp(lab: Lab) -> Verdict:
    """Send tokens that never expire."""
    claims = lab.signer.claims()
    del claims["exp"]
    return experiments.refuses(
        lab,
        (lab.genuine(token=lab.signer.token(claims)), "a token without exp"),
        (lab.genuine(token=lab.signer.token({**claims, "exp": None})), "a token whose exp is null"),
    )


def textual_exp(lab: Lab) -> Verdict:
    """Send tokens whose `exp` is no number."""
    return _refuses_exp(
        lab,
        ("2099-12-31T23:59:59+00:00", "a token whose exp is a date as text"),
        (lab.word(), "a token whose exp is a word"),
    )


def far_exp(lab: Lab) -> Verdict:
    """Send a token that expires in ten years."""
    token = lab.signer.token(lab.signer.claims(exp=seconds_from_now(_DECADE)))
    return experiments.accepts(lab, (lab.genuine(token=token), "a token valid for ten years"))


def unknown_claims(lab: Lab) -> Verdict:
    """Send a token with claims that Connect doesn't have today."""
    more = {"environment": "production", "trace_id": 17, lab.word(): {"list": [1, None, {}]}}
    token = lab.signer.token(lab.signer.claims(**more))
    return experiments.accepts(lab, (lab.genuine(token=token), "a token with further claims"))


def replay(lab: Lab) -> Verdict:
    """Send the same request again: when its order is approved, and when another one is pending."""
    first = lab.order()
    before, mark = lab.values(first), lab.mark()
    sent = lab.genuine()
    replies = [lab.send(sent)]
    lab.after_work(mark, replies, [first])
    replies.append(lab.send(sent))
    lab.settle()
    # The platform's next order, because of which a handler may work on the replay.
    second = lab.order()
    replies.append(lab.send(sent))
    happened = lab.after(mark)
    effects = lab.effects(first, happened, before)
    evidence = (
        verdicts.request_exhibit(sent),
        verdicts.replies_exhibit(replies),
        verdicts.effects_exhibit(effects, first),
        happened.exhibit(),
    )
    if effects.status != "approved":
        return verdicts.failed(
            f"{first} is {effects.status} after its own request and two replays "
            "(expected approved).",
            *evidence,
        )
    errors = [reply.error for reply in replies if reply.error]
    if errors:
        return verdicts.failed(f"Gave no response to a replay: {errors[0]}.", *evidence)
    others = lab.effects(second, happened, {})
    return (
        verdicts.once(effects, first, *evidence)
        or verdicts.once(others, second, *evidence, verdicts.effects_exhibit(others, second))
        or verdicts.passed(f"{first} was processed once; the replays had no second effect.")
    )


def claims_against_body(lab: Lab) -> Verdict:
    """Send a genuine token with a body that names another product, webhook and API."""
    own, foreign = lab.order(), lab.order(lab.other.product_id)
    before, mark = lab.values(foreign), lab.mark()
    with Listener() as listener:
        content = {**lab.other.payload(), "api_url": f"{listener.url}/public/v1"}
        sent = lab.genuine(method="POST", body=json.dumps(content).encode())
        reply = lab.send(sent)
        happened = lab.after_work(mark, [reply], [own])
    evidence = (verdicts.request_exhibit(sent), verdicts.reply_exhibit(reply), happened.exhibit())
    if listener.requests:
        return verdicts.failed(
            f"Called the api_url of the body: {listener.requests[0]}. Only the token is signed.",
            *evidence,
        )
    if not experiments.is_untouched(lab, foreign, before):
        return verdicts.failed(
            f"Processed {foreign} of {lab.other.product_id}, which the body names; the token "
            f"names {lab.product}.",
            *evidence,
        )
    status = lab.status(own)
    if status == "approved" and reply.is_success:
        return verdicts.passed(f"Processed {own} of the token's product, and ignored the body.")
    # A timer of the handler may have approved it.
    if 400 <= reply.status < 500 and status in (*UNTOUCHED, "approved"):
        return verdicts.passed(f"Refused with {reply.status}, without an effect on the others.")
    return verdicts.failed(
        f"Responded {reply.text}, and {own} of the token's product is {status} (expected approved, "
        "or a refusal with 4xx that leaves it pending).",
        *evidence,
    )


CHECKS = (
    Check(
        "token.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
    ),
    Check(
        "token.expired_second",
        Level.SHOULD,
        "A token that expired a second ago is refused",
        "A genuine token whose `exp` was one second ago by real time, while an order is pending.",
        _REFUSED,
        "Connect's tokens are valid for ten minutes, so that a token that was read in a log is "
        "worthless soon. A tolerance extends that; the standard allows one of a few minutes, for "
        "clocks that differ.",
        _REQUIRE_EXP + " Set no leeway. If handler and sandbox run on different machines, their "
        "clocks must agree.",
        expired_second,
    ),
    Check(
        "token.expired_six_minutes",
        Level.MUST,
        "A token that expired six minutes ago is refused",
        "Genuine tokens whose `exp` was six minutes ago, and a little longer, by real time, while "
        "an order is pending.",
        _REFUSED,
        "A tolerance of up to five minutes makes up for clocks that differ. A longer one makes "
        "tokens valid that are not.",
        _REQUIRE_EXP + " Set a leeway of seconds, if any.",
        expired_six_minutes,
    ),
    Check(
        "token.expired_hour",
        Level.MUST,
        "A token that expired an hour ago is refused",
        "Genuine tokens whose `exp` was an hour ago, and a little longer, by real time, while an "
        "order is pending.",
        _REFUSED,
        "A handler that accepts expired tokens can be called with any token that was ever in a "
        "log.",
        _REQUIRE_EXP,
        expired_hour,
    ),
    Check(
        "token.expired_meanwhile",
        Level.MUST,
        "A known token is refused when it has expired",
        f"A genuine token that is valid for {_SHORTLY} s, twice: at once, and when it has expired "
        "while another order is pending. In between a new token that has expired: a handler that "
        "accepts it has a leeway, and is not judged.",
        "The first request is processed; the second one is refused without an effect.",
        "A handler that remembers which tokens it has verified accepts them for ever.",
        "Verify each token when it comes, or keep what you remember until its `exp` only.",
        expired_meanwhile,
    ),
    Check(
        "token.missing_exp",
        Level.SHOULD,
        "A token without exp is refused",
        "A token with the right signature and without the claim `exp`, and one whose `exp` is "
        "null, while an order is pending.",
        _REFUSED,
        "Many libraries verify `exp` only where it is present. Nobody without the secret can make "
        "such a token; but one that you make yourself, in a test for example, is valid forever.",
        _REQUIRE_EXP,
        missing_exp,
    ),
    Check(
        "token.textual_exp",
        Level.SHOULD,
        "A token whose exp is text is refused",
        "Tokens with the right signature whose `exp` is a date as text, and a word, while an order "
        "is pending.",
        _REFUSED,
        "`exp` is a number of seconds. In some languages each comparison of a text with a number "
        "is false, so that such a token never expires. Nobody without the secret can make one.",
        _REQUIRE_EXP + " If you compare `exp` yourself, check first that it is a number.",
        textual_exp,
    ),
    Check(
        "token.replay",
        Level.MUST,
        "A token that is sent again has no second effect",
        "The same request three times: for a new order, again when that is approved, and once "
        "more when another order is pending.",
        "The first order is approved once and never changed again, whatever the status of "
        "the responses. The second one may be approved, once.",
        "Until it expires, a token can be sent again by anybody who has read it, and Connect "
        "itself repeats requests. What was done once must not be done again.",
        "Read the pending requests from Connect's API each time, and process only those: a request "
        "that is approved isn't among them. Don't keep lists of your own of what is to be done.",
        replay,
    ),
    Check(
        "token.unknown_claims",
        Level.MUST,
        "A token with further claims is accepted",
        "A genuine token with three claims more than Connect has today, while an order is pending.",
        "A status of 2xx, and the order is approved once.",
        "Connect adds claims without notice. A handler that refuses what it doesn't know stops "
        "working that day.",
        "Read the claims that you need by name, and ignore others.",
        unknown_claims,
    ),
    Check(
        "token.claims_against_body",
        Level.MUST,
        "What the token says counts, not the body",
        "A genuine token with a body that names another product, another webhook and the address "
        "of a foreign server as `api_url`, while an order of each product is pending.",
        "The order of the token's product becomes approved, or the request is refused with 4xx and "
        "the order stays pending. The other product's order stays pending, and nothing is sent to "
        "the foreign server.",
        "Only the token is signed; anybody on the way can replace the body. A handler that takes "
        "`api_url` from the body sends its API key to the address that it finds there.",
        "Use the claims of the verified token (`api_url`, `product_id`, …) or your configuration, "
        "and ignore the body.",
        claims_against_body,
    ),
    Check(
        "token.far_exp",
        Level.MAY,
        "A token that expires in years is accepted",
        "A genuine token whose `exp` is ten years ahead, while an order is pending.",
        "A status of 2xx, and the order is approved once.",
        "Tokens follow the platform's clock. In tests that move it by days or months, each "
        "genuine token is far ahead of the handler's clock.",
        "Refuse tokens that have expired, and don't limit how far ahead `exp` may be.",
        far_exp,
    ),
)
