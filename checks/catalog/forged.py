"""Checks of authentication: requests that are not Connect's are refused."""

from __future__ import annotations

from collections.abc import Mapping

from checks import causes, experiments, tokens, verdicts
from checks.handler_requests import SentRequest
from checks.lab import Lab
from checks.model import Check, Level, Verdict
from checks.tokens import sign

_REFUSED = "A status that is not 2xx, no call that changes something, and the order stays pending."
_WHY_FORGED = (
    "Anybody who knows the handler's URL can send it a request. Only the token's signature tells "
    "Connect's requests from those of others."
)
_VERIFY = (
    "Before doing anything else, verify the token with a JWT library, the webhook's secret and "
    'the fixed list ["HS256"] of allowed algorithms; respond 401 where that fails.'
)


def wrong_secret(lab: Lab) -> str:
    """Draw a secret that no webhook has."""
    return f"JWT-{lab.word()}{lab.word()}"


def with_headers(lab: Lab, values: Mapping[str, str]) -> SentRequest:
    """Return a request with these headers in place of those with a token."""
    return lab.genuine(token_headers=[], headers=list(values.items()))


def in_both(lab: Lab, value: str) -> SentRequest:
    """Return a request with the same value in both headers."""
    return with_headers(lab, {"Authentication": value, "Authorization": value})


def no_header(lab: Lab) -> Verdict:
    """Send no token."""
    return experiments.refuses(
        lab,
        (lab.genuine(token_headers=[]), "a request without a token"),
        (lab.genuine(token_headers=[], method="GET"), "a request by GET without a token"),
    )


def empty_header(lab: Lab) -> Verdict:
    """Send headers without a token in them."""
    return experiments.refuses(
        lab,
        *((in_both(lab, value), f'the header value "{value}"') for value in ("", "Bearer", " ")),
        (in_both(lab, "Bearer "), 'the header value "Bearer" with a space'),
    )


def garbage(lab: Lab) -> Verdict:
    """Send what is no token."""
    token, word = lab.signer.token(), lab.word()
    values = (
        (f"Bearer {word}", "a word in place of a token"),
        ("Bearer ..", "two dots in place of a token"),
        (f"Bearer {'.'.join(word[:3])}", "three letters in place of a token"),
        ("Bearer W10.W10.W10", "a token of empty lists"),
        ("Bearer \N{LATIN SMALL LETTER E WITH ACUTE}.\N{SNOWMAN}.x", "a token that is not ASCII"),
        (f"Bearer {token[: len(token) // 2]}", "half a token"),
        (f"Bearer {token.rpartition('.')[0]}", "a token without its third part"),
        (f"Basic {lab.webhook}", "another scheme than Bearer"),
    )
    return experiments.refuses(lab, *((in_both(lab, value), what) for value, what in values))


def other_secret(lab: Lab) -> Verdict:
    """Send tokens that are signed with other secrets, among them the empty one."""
    claims, secret = lab.signer.claims(), wrong_secret(lab)
    return experiments.refuses(
        lab,
        (lab.genuine(token=sign(claims, secret)), "a token signed with another secret"),
        (lab.genuine(token=sign(claims, "")), "a token signed with an empty secret"),
        (
            lab.genuine(token=sign(claims, secret), method="GET"),
            "a token signed with another secret, by GET",
        ),
    )


def no_signature(lab: Lab) -> Verdict:
    """Send a genuine token without its signature."""
    token = tokens.without_signature(lab.signer.token())
    return experiments.refuses(lab, (lab.genuine(token=token), "a token without a signature"))


def alg_none(lab: Lab) -> Verdict:
    """Send an unsigned token with each spelling of `none`."""
    return experiments.refuses(
        lab,
        *(
            (
                lab.genuine(token=sign(lab.signer.claims(), "", spelling)),
                f'an unsigned token with "alg": "{spelling}"',
            )
            for spelling in ("none", "None", "NONE", "nOnE", "")
        ),
    )


def hs512(lab: Lab) -> Verdict:
    """Send a token with the right secret and another algorithm."""
    token = sign(lab.signer.claims(), lab.signer.secret, "HS512")
    return experiments.refuses(lab, (lab.genuine(token=token), "a token signed with HS512"))


def rs256_key_confusion(lab: Lab) -> Verdict:
    """Send a token that is signed with a key of its own."""
    token = tokens.sign_with_own_key(lab.signer.claims())
    what = "a token signed with RS256 and a key that is in the token itself"
    return experiments.refuses(lab, (lab.genuine(token=token), what))


def rs256_with_secret(lab: Lab) -> Verdict:
    """Send a token with a right signature, whose header names another algorithm."""
    token = tokens.mislabeled(lab.signer.claims(), lab.signer.secret, "RS256")
    what = "a token with RS256 in its header, signed with the secret as key"
    return experiments.refuses(lab, (lab.genuine(token=token), what))


def other_webhook(lab: Lab) -> Verdict:
    """Send the token of another webhook, signed with that webhook's secret."""
    sent = lab.genuine(signer=lab.stranger)
    return experiments.refuses(
        lab, (sent, "a token of another webhook, signed with that webhook's secret")
    )


def other_product(lab: Lab) -> Verdict:
    """Send a token for another product, signed with the same secret."""
    return experiments.without_effect(lab, lambda: _other_product(lab))


def _other_product(lab: Lab) -> Verdict:
    order, _foreign = lab.order(), lab.order(lab.other.product_id)
    before, mark = lab.values(order), lab.mark()
    # Tokens of one second are equal otherwise, and a handler may refuse one that it has seen.
    sent = lab.genuine(signer=lab.other, changes={"data": {"order": order}})
    reply = lab.send(sent)
    happened = lab.after(mark)
    evidence = (verdicts.request_exhibit(sent), verdicts.reply_exhibit(reply), happened.exhibit())
    writes = [call for call in happened.about(order) if not call.is_read]
    if writes or not experiments.is_untouched(lab, order, before):
        return verdicts.failed(
            f"The token is for {lab.other.product_id}, but {order} of {lab.product} was changed.",
            *evidence,
            cause=causes.FOREIGN,
        )
    if reply.error:
        return verdicts.failed(
            f"Gave no response to a token for another product: {reply.error}.", *evidence
        )
    return verdicts.passed(f"Responded {reply.status}, without an effect on {lab.product}.")


def headers_disagree(lab: Lab) -> Verdict:
    """Send a forged token in `Authentication` and a genuine one in `Authorization`."""
    claims = lab.signer.claims()
    values = {
        "Authentication": f"Bearer {sign(claims, wrong_secret(lab))}",
        "Authorization": f"Bearer {lab.signer.token(claims)}",
    }
    what = "a forged token in Authentication beside a genuine one in Authorization"
    return experiments.refuses(lab, (with_headers(lab, values), what))


CHECKS = (
    Check(
        "auth.no_header",
        Level.MUST,
        "A request without a token is refused",
        "A genuine body without a token, while an order is pending.",
        _REFUSED,
        _WHY_FORGED,
        "Respond 401 where the headers `Authentication` and `Authorization` are both missing, "
        "before reading the body.",
        no_header,
    ),
    Check(
        "auth.empty_header",
        Level.MUST,
        "A request with an empty token header is refused",
        'The headers `Authentication` and `Authorization` with nothing in them, with "Bearer" '
        "alone, and with white space, while an order is pending.",
        _REFUSED,
        "Code that only asks whether the header exists takes an empty one for a token.",
        "Treat an empty token like a missing one: respond 401.",
        empty_header,
    ),
    Check(
        "auth.garbage",
        Level.MUST,
        "A request whose token is garbage is refused",
        "Words, dots, parts of a token, characters that are not ASCII and another scheme than "
        "Bearer in place of the token, while an order is pending.",
        _REFUSED,
        "Whatever is on the Internet receives such requests. They must neither have an effect nor "
        "stop the handler.",
        "Verify the token with a JWT library, catch every error that it raises for a malformed "
        "token, and respond 401.",
        garbage,
    ),
    Check(
        "auth.other_secret",
        Level.MUST,
        "A token signed with another secret is refused",
        "Right claims, signed with another secret and with an empty one, while an order is "
        "pending.",
        _REFUSED,
        _WHY_FORGED,
        _VERIFY,
        other_secret,
    ),
    Check(
        "auth.no_signature",
        Level.MUST,
        "A token without a signature is refused",
        "A genuine token whose signature is removed, while an order is pending.",
        _REFUSED,
        "Claims without a signature can be written by anybody: they are plain text in base64.",
        _VERIFY + " Decoding a token doesn't verify it.",
        no_signature,
    ),
    Check(
        "auth.alg_none",
        Level.MUST,
        'A token with "alg": "none" is refused',
        'Tokens without a signature whose header says `"alg": "none"`, in several spellings, '
        "while an order is pending.",
        _REFUSED,
        "A library that takes the algorithm from the token itself accepts them.",
        _VERIFY,
        alg_none,
    ),
    Check(
        "auth.hs512",
        Level.SHOULD,
        "A token signed with HS512 is refused",
        "A token signed with the webhook's secret and HS512, while an order is pending.",
        _REFUSED,
        "Connect signs with HS256 only. Nobody without the secret can make such a token; but a "
        "handler that accepts it lets the sender choose how the token is verified.",
        _VERIFY,
        hs512,
    ),
    Check(
        "auth.rs256_key_confusion",
        Level.MUST,
        "A token with a key of its own is refused",
        "A token signed with RS256 and an RSA key whose public half the token brings along "
        "(`jwk`), while an order is pending.",
        _REFUSED,
        "Where the token chooses algorithm and key, an attacker signs with a key of their own.",
        _VERIFY + " Ignore keys and addresses of keys in the token's header (`jwk`, `jku`, `x5u`).",
        rs256_key_confusion,
    ),
    Check(
        "auth.rs256_with_secret",
        Level.SHOULD,
        "A token with RS256 in its header is refused",
        "A token whose header says RS256, signed with HMAC-SHA256 and the webhook's secret, while "
        "an order is pending.",
        _REFUSED,
        "Nobody without the secret can make such a token; but a handler that accepts it doesn't "
        "look at the algorithm.",
        _VERIFY,
        rs256_with_secret,
    ),
    Check(
        "auth.other_webhook",
        Level.MUST,
        "A token of another webhook is refused",
        "A token that Connect could send for another webhook of the same product, signed with "
        "that webhook's secret, while an order is pending.",
        _REFUSED,
        "Each webhook has a secret of its own. A handler that looks the secret up by a claim of "
        "the token must know only its own webhooks.",
        "Verify with the secret of your own webhook, from your configuration; respond 401 where "
        "that fails.",
        other_webhook,
    ),
    Check(
        "auth.other_product",
        Level.SHOULD,
        "A token for another product has no effect on this one",
        "A token for another product, signed with the same secret, while an order of each product "
        "is pending.",
        "The order of the handler's own product stays as it is, with any status of the response.",
        "Several webhooks can have the same secret. The claim `product_id` says whose requests "
        "the token is about; a handler that ignores it works on the wrong product.",
        "Read the pending requests of the product in the claim `product_id`. If the handler is "
        "for one product, respond 403 where the claim names another one.",
        other_product,
    ),
    Check(
        "auth.headers_disagree",
        Level.MAY,
        "A forged Authentication is refused",
        "A token signed with another secret in `Authentication`, and a genuine one in "
        "`Authorization`, while an order is pending.",
        _REFUSED,
        "Connect sends the same token in both. Two different ones mean that somebody has added "
        "one.",
        "Read `Authentication` first, and `Authorization` only where `Authentication` is missing, "
        "not where it is wrong.",
        headers_disagree,
    ),
)
