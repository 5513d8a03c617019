"""Tokens of checks, verified by a JWT library."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import jwt
import pytest

from checks import tokens
from checks.tokens import Signer, sign

SECRET = "JWT-f8413c2bb5f04b8ebc2e9a1b6a4e33da"
SIGNER = Signer(
    "WH-1-2", "Orders", "fulfillment_requests", "VA-1", "PRD-1-2-3", "http://127.0.0.1/public/v1",
    SECRET,
)  # fmt: skip


def decode(token: str, *algorithms: str, key: Any = SECRET) -> dict[str, Any]:
    return dict(jwt.decode(token, key, [*algorithms] or ["HS256"], options={"require": ["exp"]}))


def test_genuine_token_is_the_signed_payload_with_exp() -> None:
    claims = decode(SIGNER.token())
    payload = SIGNER.payload()
    assert list(claims) == [*payload, "exp"]
    assert {**claims, "triggered_at": ""} == {**payload, "triggered_at": "", "exp": claims["exp"]}
    assert 0 < claims["exp"] - time.time() <= tokens.TIMEOUT
    assert jwt.get_unverified_header(SIGNER.token()) == {"typ": "JWT", "alg": "HS256"}


def test_claims_can_be_replaced_and_added() -> None:
    claims = SIGNER.claims(exp=tokens.seconds_from_now(9), further=[1])
    assert decode(SIGNER.token(claims)) == claims
    assert claims["further"] == [1]


@pytest.mark.parametrize(
    "token",
    [
        sign(SIGNER.claims(), "JWT-other"),
        sign(SIGNER.claims(), ""),
        sign(SIGNER.claims(), "", "none"),
        tokens.without_signature(SIGNER.token()),
        sign(SIGNER.claims(), SECRET, "HS512"),
        tokens.mislabeled(SIGNER.claims(), SECRET, "RS256"),
        tokens.sign_with_own_key(SIGNER.claims()),
        SIGNER.token(SIGNER.claims(exp=tokens.seconds_from_now(-1))),
        SIGNER.token(SIGNER.claims(exp="never")),
        SIGNER.token(SIGNER.claims(exp=None)),
        replace(SIGNER, secret="JWT-other").token(),
    ],
)
def test_forged_tokens_are_refused_by_a_library(token: str) -> None:
    with pytest.raises(jwt.InvalidTokenError):
        decode(token)


def test_forged_tokens_have_only_their_one_fault() -> None:
    claims = SIGNER.claims()
    assert decode(sign(claims, SECRET, "HS512"), "HS512") == claims
    own = tokens.sign_with_own_key(claims)
    head = jwt.get_unverified_header(own)
    assert head["alg"] == "RS256" and "d" not in head["jwk"], "the private key is in the token"
    assert decode(own, "RS256", key=jwt.PyJWK(head["jwk"])) == claims
    signed, _, signature = tokens.mislabeled(claims, SECRET, "RS256").rpartition(".")
    hs256 = jwt.PyJWS().get_algorithm_by_name("HS256")
    assert hs256.verify(signed.encode(), SECRET.encode(), jwt.utils.base64url_decode(signature))


def test_repr_of_a_signer_hides_the_secret() -> None:
    assert SECRET not in repr(SIGNER)
