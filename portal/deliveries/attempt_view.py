"""One attempt as its page shows it: request, response, token, and changes since the last one."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from portal.deliveries import bodies, commands
from portal.deliveries.bodies import Body, escape_controls
from portal.deliveries.commands import Command
from requests_queue.api.json_diff import NOTHING, compare, format_value, shorten
from requests_queue.queues.response_diff import ResponseDiff
from requests_queue.redaction import MASK
from webhooks import response_diff
from webhooks.delivery import resend
from webhooks.delivery.request import (
    JOSE,
    TOKEN_HEADERS,
    SecretRefused,
    is_short_secret,
    order_claims,
    sign_token,
)
from webhooks.http.headers import masked
from webhooks.models import Attempt

_TOKEN_HEADERS = {name.lower() for name in TOKEN_HEADERS["both"]}
_TIMES = ("triggered_at", "last_success_at", "last_failure_at", "exp")
_MAX_HEADER = 1_000  # characters of a header's value that are shown


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """A result of checking the token; its tone is `good`, `bad` or `quiet`."""

    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class Token:
    """What is known about a token, which itself is not stored.

    `claims` are those that the request's body hasn't, if it `has_payload`.
    """

    header: str
    claims: Body
    has_payload: bool
    caption: str
    expires: datetime | None
    is_expired: bool
    checks: list[TokenCheck]

    @property
    def added(self) -> tuple[str, ...]:
        """The claims that the token adds to the payload."""
        return () if self.has_payload else ("exp",)


@dataclass
class AttemptView:
    """An attempt, and what its page shows about it."""

    row: Attempt
    now: datetime
    as_sent: bool = False
    full: bool = False
    reveals_headers: bool = False

    @property
    def commands(self) -> Collection[Command]:
        """The commands that it can be copied as."""
        return commands.COMMANDS.values()

    @cached_property
    def request_headers(self) -> list[tuple[str, str]]:
        """The request's headers without the token; the webhook's own values are masked."""
        sent = self.row.request_headers
        return _headers((sent if self.reveals_headers else masked(sent)).items())

    @property
    def hides_headers(self) -> bool:
        """Whether a value of the request's headers is masked."""
        return not self.reveals_headers and MASK in masked(self.row.request_headers).values()

    @cached_property
    def response_headers(self) -> list[tuple[str, str]]:
        return _headers(map(tuple, self.row.response_headers))

    @cached_property
    def request_body(self) -> Body:
        return self._body(self.row.request_body.encode(), [])

    @cached_property
    def response_body(self) -> Body:
        raw = bytes(self.row.response_body)
        return self._body(raw, self.row.response_headers, cut=self.row.truncated)

    def _body(self, raw: bytes, headers: Any, *, cut: bool = False) -> Body:
        return bodies.read(raw, headers, as_sent=self.as_sent, full=self.full, cut=cut)

    @property
    def is_cut(self) -> bool:
        """Whether a part of a body or of the claims is not shown."""
        claims = self.token.claims.more if self.token else 0
        return bool(self.request_body.more or self.response_body.more or claims)

    @cached_property
    def token(self) -> Token | None:
        """The token; None if none was signed."""
        return _token(self.row, self.now, self.full) if self.row.claims else None

    @property
    def is_unsigned(self) -> bool:
        """Whether a fault has left out the token."""
        names = {name.lower() for name in self.row.request_headers}
        return bool(self.row.faults) and not names & _TOKEN_HEADERS

    @property
    def faults(self) -> str:
        """What has changed the request on purpose: names and kinds; empty if nothing has."""
        return ", ".join(f"{each['name']} ({each['kind']})" for each in self.row.faults)

    @property
    def is_edited(self) -> bool:
        """Whether the webhook's settings have changed since: a resend is then a single attempt."""
        return self.row.revision != self.row.webhook.revision or resend.is_altered(self.row)

    @cached_property
    def is_validation(self) -> bool:
        """Whether the request asked a validator for its response."""
        return response_diff.is_validation(self.row)

    @cached_property
    def response_diff(self) -> ResponseDiff:
        """How a validator's response differs from its request."""
        return response_diff.build_diff(self.row)

    @cached_property
    def changes(self) -> list[tuple[str, str, str]]:
        """The differences from the previous attempt; empty for the first one."""
        rows = Attempt.objects.filter(delivery=self.row.delivery_id, number=self.row.number - 1)
        return [change for before in rows for change in _changes(before, self.row)]


def _headers(pairs: Iterable[Any]) -> list[tuple[str, str]]:
    return [
        (escape_controls(str(k)), escape_controls(shorten(str(v), _MAX_HEADER))) for k, v in pairs
    ]


def _token(row: Attempt, now: datetime, full: bool) -> Token:
    claims = order_claims(row.claims)
    exp = claims.get("exp")
    try:
        expires = datetime.fromtimestamp(exp, UTC) if isinstance(exp, int) else None
    except (ValueError, OverflowError, OSError):
        expires = None
    added = _added(row, claims)
    text = json.dumps(claims if added is None else added, ensure_ascii=False)
    return Token(
        header=json.dumps(JOSE),
        has_payload=added is not None,
        caption="Those of the request body, which is the payload, and:"
        if added is not None
        else "The payload, with a mark on what the token adds to it:",
        claims=bodies.read(text.encode(), [], as_sent=False, full=full),
        expires=expires,
        is_expired=expires is not None and expires <= now,
        checks=[*_check_signature(row)],
    )


def _added(row: Attempt, claims: dict[str, Any]) -> dict[str, Any] | None:
    """Return the claims that the body hasn't; None if the body is not the payload."""
    body = _value(row.request_body.encode())
    if not isinstance(body, dict) or any(
        name not in claims or claims[name] != value for name, value in body.items()
    ):
        return None
    return {name: value for name, value in claims.items() if name not in body}


def _check_signature(row: Attempt) -> Iterable[TokenCheck]:
    hook = row.webhook
    try:
        sign_token(b"{}", hook.jwt_secret)
    except SecretRefused as refused:
        yield TokenCheck("bad", str(refused))
        return
    if row.faults:
        yield TokenCheck("quiet", "A fault has changed the request: the signature may be invalid.")
    elif row.revision is None:
        yield TokenCheck("quiet", "The settings at that time were not recorded.")
    elif row.revision == hook.revision:
        yield TokenCheck("good", "Signed with the current JWT secret: the signature is valid.")
    else:
        times = hook.revision - row.revision
        edited = "once" if times == 1 else f"{times} times"
        yield TokenCheck(
            "bad",
            f"The webhook's settings were edited {edited} since. If the JWT secret was changed, "
            "the signature is no longer valid.",
        )
    if is_short_secret(hook.jwt_secret):
        yield TokenCheck("quiet", "The secret is shorter than the 32 bytes that HS256 requires.")


def _changes(before: Attempt, now: Attempt) -> list[tuple[str, str, str]]:
    old, new = _parts(before), _parts(now)
    old["request"]["headers"], new["request"]["headers"] = _masked_pair(before, now)
    changes = [
        (row.path, format_value(row.sent) or "–", format_value(row.received))
        for row in compare(old, new).rows
    ]
    # `compare` leaves out what was removed: compare the other way round as well.
    changes += [
        (row.path, format_value(row.received), "–")
        for row in compare(new, old).rows
        if row.sent is NOTHING
    ]
    return [
        (escape_controls(path), escape_controls(was), escape_controls(is_))
        for path, was, is_ in changes
    ]


def request_changes(before: Attempt, now: Attempt) -> list[tuple[str, str, str]]:
    """Return how a request differs from another one, apart from the times of sending."""
    return [
        change
        for change in _changes(before, now)
        if change[0].startswith("request.") and change[0].rpartition(".")[2] not in _TIMES
    ]


def _masked_pair(before: Attempt, now: Attempt) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers of both requests, masked, but so that different values differ."""
    old, new = masked(before.request_headers), masked(now.request_headers)
    for name, value in new.items():
        is_masked = value == MASK == old.get(name)
        if is_masked and before.request_headers[name] != now.request_headers[name]:
            new[name] = f"{MASK} (another value)"
    return old, new


def _parts(row: Attempt) -> dict[str, Any]:
    return {
        "request": {
            "method": row.method,
            "url": row.url,
            "body": _value(row.request_body.encode()),
            # A GET has the token only.
            **({} if row.request_body else {"token": row.claims}),
        },
        "response": {
            "status": row.status_code,
            "headers": {str(k): v for k, v in row.response_headers},
            "body": _value(bytes(row.response_body)),
        },
    }


def _value(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "backslashreplace")
