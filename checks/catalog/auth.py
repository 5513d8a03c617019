"""Checks of authentication: genuine requests are processed, in every form that they have."""

from __future__ import annotations

from checks import experiments
from checks.catalog import forged
from checks.experiments import CONTROL_TEXTS, control
from checks.lab import Lab
from checks.model import Check, Level, Verdict


def get(lab: Lab) -> Verdict:
    """Send a genuine request by GET, which has no body."""
    return experiments.accepts(lab, (lab.genuine(method="GET"), "a genuine request by GET"))


def both_headers(lab: Lab) -> Verdict:
    """Send the token in both headers."""
    what = "a genuine request with both headers"
    return experiments.accepts(lab, (lab.genuine(), what))


def authentication_only(lab: Lab) -> Verdict:
    """Send the token in `Authentication` alone."""
    sent = lab.genuine(token_headers=["Authentication"])
    return experiments.accepts(lab, (sent, "a genuine request with Authentication alone"))


def authorization_only(lab: Lab) -> Verdict:
    """Send the token in `Authorization` alone."""
    sent = lab.genuine(token_headers=["Authorization"])
    return experiments.accepts(lab, (sent, "a genuine request with Authorization alone"))


def trailing_whitespace(lab: Lab) -> Verdict:
    """Send tokens with white space around them."""
    token = lab.signer.token()
    texts = {
        "spaces after the token": f"Bearer {token}  ",
        "a tab after the token": f"Bearer {token}\t",
        "two spaces before the token": f"Bearer  {token}",
    }
    return experiments.accepts_or_refuses(
        lab,
        *(
            (forged.with_headers(lab, {"Authentication": text, "Authorization": text}), what)
            for what, text in texts.items()
        ),
    )


_ACCEPTED = (
    Check(
        "auth.control",
        Level.MUST,
        "A genuine request by Connect is processed",
        *CONTROL_TEXTS,
        control,
        is_control=True,
    ),
    Check(
        "auth.get",
        Level.MUST,
        "A genuine request by GET is processed",
        "A genuine token, by GET and without a body, while an order is pending.",
        "A status of 2xx, and the order is approved once.",
        "A webhook can be configured to call by GET, and then has no body: the token alone says "
        "what the request is about.",
        "Route GET and POST to the same function, and take what you need from the token's claims, "
        "not from the body.",
        get,
    ),
    Check(
        "auth.both_headers",
        Level.MUST,
        "A token in both headers is accepted",
        "The same genuine token in the headers `Authentication` and `Authorization`, "
        "while an order is pending.",
        "A status of 2xx, and the order is approved once.",
        "Connect's documentation names both headers, so a request may have both.",
        "Read the token from `Authentication`, and from `Authorization` only where that is "
        "missing. Having both is no error.",
        both_headers,
    ),
    Check(
        "auth.authentication_only",
        Level.MUST,
        "A token in Authentication alone is accepted",
        "A genuine token in the header `Authentication`, and no `Authorization`, while an order "
        "is pending.",
        "A status of 2xx, and the order is approved once.",
        "`Authentication` is the header in which Connect sends the token, although the usual one "
        "is `Authorization`. A handler or a framework that reads only the usual one refuses every "
        "request.",
        "Read the header `Authentication` first: remove `Bearer ` and verify the rest as a JSON "
        "Web Token.",
        authentication_only,
    ),
    Check(
        "auth.authorization_only",
        Level.SHOULD,
        "A token in Authorization alone is accepted",
        "A genuine token in the header `Authorization`, and no `Authentication`, while an order "
        "is pending.",
        "A status of 2xx, and the order is approved once.",
        "Connect's article on webhooks names `Authorization`, and proxies may pass on only this "
        "one.",
        "Where `Authentication` is missing, read the token from `Authorization`.",
        authorization_only,
    ),
)

_WHITE_SPACE = Check(
    "auth.trailing_whitespace",
    Level.MAY,
    "White space around a token does no harm",
    "A genuine token with spaces after it, with a tab after it, and with two spaces before it, "
    "each while an order is pending.",
    "Either a status of 2xx, and the order becomes approved; or a status of 4xx without an "
    "effect, and the next genuine request is processed. No 5xx, and no response without work.",
    "Proxies may add white space to headers or remove it. A handler that fails on it responds 500, "
    "so Connect repeats the request for hours.",
    "Strip white space from the header's value before splitting it into `Bearer` and the token, "
    "and respond 401 to a value that is malformed.",
    trailing_whitespace,
)

CHECKS = (*_ACCEPTED, _WHITE_SPACE, *forged.CHECKS)
