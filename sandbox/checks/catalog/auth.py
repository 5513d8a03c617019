"""Checks of authentication: which requests a handler may process."""

from __future__ import annotations

from sandbox.checks import experiments, tokens
from sandbox.checks.experiments import CONTROL_TEXTS, control
from sandbox.checks.lab import Lab
from sandbox.checks.model import Check, Level, Verdict
from sandbox.checks.tokens import sign

_WHY_FORGED = (
    "Anybody who knows the handler's URL can send it a request. Only the token's signature tells "
    "Connect's requests from those of others."
)
_VERIFY = (
    'Verify the token with a library, the webhook\'s secret and the list ["HS256"] of allowed '
    "algorithms, before doing anything else; respond 401 where that fails."
)


def get(lab: Lab) -> Verdict:
    """Send a genuine request by GET, which has no body."""
    return experiments.accepts(lab, lab.genuine(method="GET"), "a genuine request by GET")


def both_headers(lab: Lab) -> Verdict:
    """Send the token in both headers, as Connect's documentation has it."""
    return experiments.accepts(lab, lab.genuine(), "a genuine request with both headers")


def authentication_only(lab: Lab) -> Verdict:
    """Send the token in `Authentication` alone."""
    sent = lab.genuine(token_headers=["Authentication"])
    return experiments.accepts(lab, sent, "a genuine request with Authentication alone")


def authorization_only(lab: Lab) -> Verdict:
    """Send the token in `Authorization` alone."""
    sent = lab.genuine(token_headers=["Authorization"])
    return experiments.accepts(lab, sent, "a genuine request with Authorization alone")


def no_header(lab: Lab) -> Verdict:
    """Send no token."""
    return experiments.refuses(lab, (lab.genuine(token_headers=[]), "a request without a token"))


def alg_none(lab: Lab) -> Verdict:
    """Send an unsigned token with each spelling of `none`."""
    return experiments.refuses(
        lab,
        *(
            (
                lab.genuine(token=sign(lab.signer.claims(), "", spelling)),
                f'a token with "alg": "{spelling}"',
            )
            for spelling in ("none", "None", "NONE", "nOnE")
        ),
    )


def other_secret(lab: Lab) -> Verdict:
    """Send a token that is signed with another secret."""
    token = sign(lab.signer.claims(), "JWT-the-secret-of-somebody-else")
    return experiments.refuses(
        lab, (lab.genuine(token=token), "a token signed with another secret")
    )


def no_signature(lab: Lab) -> Verdict:
    """Send a genuine token without its signature."""
    token = tokens.without_signature(lab.signer.token())
    return experiments.refuses(lab, (lab.genuine(token=token), "a token without a signature"))


CHECKS = (
    Check(
        "auth.control", Level.MUST, "A genuine request by Connect is processed",
        *CONTROL_TEXTS, control, is_control=True,
    ),
    Check(
        "auth.get", Level.MUST, "A genuine request by GET is processed",
        "A genuine token, by GET and without a body.",
        "The order becomes approved by one call.",
        "A webhook can be configured to call by GET.",
        "Route GET and POST to the same function, and take what you need from the token's claims.",
        get,
    ),
    Check(
        "auth.both_headers", Level.MUST, "A token in both headers is accepted",
        "The same genuine token in `Authentication` and `Authorization`.",
        "The order becomes approved by one call.",
        "Connect's documentation names both headers.",
        "Read one of them, and ignore the other one.",
        both_headers,
    ),
    Check(
        "auth.authentication_only", Level.MUST, "A token in Authentication alone is accepted",
        "A genuine token in `Authentication`, and no `Authorization`.",
        "The order becomes approved by one call.",
        "Connect sends the token in `Authentication`.",
        "Read the header `Authentication` first.",
        authentication_only,
    ),
    Check(
        "auth.authorization_only", Level.SHOULD, "A token in Authorization alone is accepted",
        "A genuine token in `Authorization`, and no `Authentication`.",
        "The order becomes approved by one call.",
        "Connect's article on webhooks names `Authorization`.",
        "Where `Authentication` is missing, read `Authorization`.",
        authorization_only,
    ),
    Check(
        "auth.no_header", Level.MUST, "A request without a token is refused",
        "A payload of a pending order, without a token.",
        "A status that is not 2xx, and no effect.",
        _WHY_FORGED, _VERIFY, no_header,
    ),
    Check(
        "auth.other_secret", Level.MUST, "A token signed with another secret is refused",
        "A token with right claims, signed with another secret.",
        "A status that is not 2xx, and no effect.",
        _WHY_FORGED, _VERIFY, other_secret,
    ),
    Check(
        "auth.no_signature", Level.MUST, "A token without a signature is refused",
        "A genuine token, of which the signature is removed.",
        "A status that is not 2xx, and no effect.",
        _WHY_FORGED, _VERIFY, no_signature,
    ),
    Check(
        "auth.alg_none", Level.MUST, "An unsigned token is refused",
        'Tokens with `"alg": "none"` in every spelling, and without a signature.',
        "A status that is not 2xx, and no effect.",
        "A library that takes the algorithm from the token itself accepts them.",
        _VERIFY, alg_none,
    ),
)  # fmt: skip
