"""One attempt: request and response side by side, its token, and what differs from the last one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from portal.deliveries import bodies
from portal.deliveries.bodies import Body, harmless
from webhooks.delivery import resend, response_diff
from webhooks.delivery.json_diff import NOTHING, compare, format_value, shorten
from webhooks.delivery.request import JOSE, SecretRefused, is_short_secret, order_claims, sign_token
from webhooks.http.headers import MASK, masked
from webhooks.models import Attempt

_LONG = 1_000  # characters of a header's value that are shown


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """A sentence of the token's verdict, and whether it is good news, bad or none (`quiet`)."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token that isn't stored."""

    header: str
    claims: Body
    expires: datetime | None
    is_expired: bool
    verdict: list[TokenCheck]


@dataclass
class AttemptView:
    """An attempt, to be read."""

    row: Attempt
    now: datetime
    as_sent: bool = False
    whole: bool = False
    # Whether the values of the request's headers are shown.
    revealed: bool = False

    @property
    def url(self) -> str:
        """Where the call went."""
        return harmless(self.row.url)

    @property
    def error(self) -> str:
        """What went wrong."""
        return harmless(self.row.error)

    @property
    def why(self) -> str:
        """What followed, and why."""
        return harmless(self.row.why)

    @cached_property
    def sent_headers(self) -> list[tuple[str, str]]:
        """The headers that were sent, the token left out and the webhook's own values masked."""
        sent = self.row.request_headers
        return _headers((sent if self.revealed else masked(sent)).items())

    @property
    def hides_headers(self) -> bool:
        """Whether a value of them is masked."""
        return not self.revealed and MASK in masked(self.row.request_headers).values()

    @cached_property
    def got_headers(self) -> list[tuple[str, str]]:
        """The headers of the answer."""
        return _headers(map(tuple, self.row.response_headers))

    @cached_property
    def sent_body(self) -> Body:
        """The body that was sent."""
        return self._body(self.row.request_body.encode(), [])

    @cached_property
    def got_body(self) -> Body:
        """The body of the answer."""
        raw = bytes(self.row.response_body)
        return self._body(raw, self.row.response_headers, cut=self.row.truncated)

    def _body(self, raw: bytes, headers: Any, *, cut: bool = False) -> Body:
        return bodies.read(raw, headers, as_sent=self.as_sent, whole=self.whole, cut=cut)

    @property
    def is_cut(self) -> bool:
        """Whether there is more of a body than is shown."""
        claims = self.token.claims.more if self.token else 0
        return bool(self.sent_body.more or self.got_body.more or claims)

    @cached_property
    def token(self) -> Token | None:
        """The token, None where nothing was signed."""
        return _token(self.row, self.now, self.whole) if self.row.claims else None

    @property
    def is_edited(self) -> bool:
        """Whether the webhook is called otherwise: to send this again is one call then."""
        return self.row.revision != self.row.webhook.revision or resend.is_altered(self.row)

    @cached_property
    def is_validation(self) -> bool:
        """Whether an object was sent whose answer somebody waited for."""
        return response_diff.is_validation(self.row)

    @cached_property
    def judged(self) -> response_diff.ResponseDiff:
        """What a validator's answer has otherwise than what was sent."""
        return response_diff.build_diff(self.row)

    @cached_property
    def before(self) -> list[tuple[str, str, str]]:
        """What is otherwise than in the attempt before; empty where there was none."""
        rows = Attempt.objects.filter(delivery=self.row.delivery_id, number=self.row.number - 1)
        return [row for before in rows for row in _differences(before, self.row)]


def _headers(pairs: Iterable[Any]) -> list[tuple[str, str]]:
    return [(harmless(str(k)), harmless(shorten(str(v), _LONG))) for k, v in pairs]


def _token(row: Attempt, now: datetime, whole: bool) -> Token:
    told = order_claims(row.claims)
    exp = told.get("exp")
    try:
        expires = datetime.fromtimestamp(exp, UTC) if isinstance(exp, int) else None
    except (ValueError, OverflowError, OSError):
        expires = None
    text = json.dumps(told, ensure_ascii=False)
    return Token(
        header=json.dumps(JOSE, indent=2),
        claims=bodies.read(text.encode(), [], as_sent=False, whole=whole),
        expires=expires,
        is_expired=expires is not None and expires <= now,
        verdict=[*_signature(row, told)],
    )


def _signature(row: Attempt, told: dict[str, Any]) -> Iterable[TokenCheck]:
    hook = row.webhook
    try:
        sign_token(told, hook.jwt_secret)
    except SecretRefused as refused:
        yield TokenCheck("bad", str(refused))
        return
    if row.revision is None:
        yield TokenCheck(
            "quiet", "Whether the webhook was edited since is not recorded of this attempt."
        )
    elif row.revision == hook.revision:
        yield TokenCheck(
            "good",
            "The signature verifies with the webhook's JWT secret: how it is called was not "
            "edited since.",
        )
    else:
        times = hook.revision - row.revision
        yield TokenCheck(
            "bad",
            f"How the webhook is called was edited {'once' if times == 1 else f'{times} times'} "
            "since. If its JWT secret was among that, the signature no longer verifies; signed "
            "again, the same claims do.",
        )
    if is_short_secret(hook.jwt_secret):
        yield TokenCheck("quiet", "The secret is shorter than the 32 bytes that HS256 wants.")


def _differences(before: Attempt, now: Attempt) -> list[tuple[str, str, str]]:
    old, new = _parts(before), _parts(now)
    old["request"]["headers"], new["request"]["headers"] = _masked_pair(before, now)
    found = [
        (row.path, format_value(row.sent) or "–", format_value(row.got))
        for row in compare(old, new).rows
    ]
    # What is there no more, `compare` leaves out: it is there once more, the other way round.
    found += [
        (row.path, format_value(row.got), "–")
        for row in compare(new, old).rows
        if row.sent is NOTHING
    ]
    return [(harmless(path), harmless(was), harmless(is_)) for path, was, is_ in found]


def _masked_pair(before: Attempt, now: Attempt) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers of both requests, masked; a masked value that is another one differs."""
    old, new = masked(before.request_headers), masked(now.request_headers)
    for name, value in new.items():
        is_masked = value == MASK == old.get(name)
        if is_masked and before.request_headers[name] != now.request_headers[name]:
            new[name] = f"{MASK} (another value)"
    return old, new


def _parts(row: Attempt) -> dict[str, Any]:
    return {
        "request": {
            "method": row.method, "url": row.url,
            "body": _value(row.request_body.encode()),
            # Of a GET it is all that the handler is told.
            **({} if row.request_body else {"token": row.claims}),
        },
        "response": {
            "status": row.status_code, "headers": {str(k): v for k, v in row.response_headers},
            "body": _value(bytes(row.response_body)),
        },
    }  # fmt: skip


def _value(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "backslashreplace")
