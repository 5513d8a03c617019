"""Store recorded API calls: their rows, the objects that they name, and timeline entries.

Everything that costs CPU time is done here, in batches: masking, searching for ids, JSON.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from requests_queue import clock, topics
from requests_queue.catalog.representations.parameters import numbered_id
from requests_queue.db import background_work
from requests_queue.redaction import MASK, Redaction
from requests_queue.topics import OBJECTS, one
from sandbox.models import ApiCall, ApiCallObject
from sandbox.timeline import attempts, observer, timeline
from sandbox.timeline.attempts import Caller
from sandbox.timeline.timeline import Entry
from webhooks import account_secrets
from webhooks.announcements import DELIVERIES
from webhooks.delivery import wakeup
from webhooks.http.headers import masked

# An id of an object in a text: a prefix and groups of digits.
OBJECT_ID = re.compile(r"(?<![\w-])[A-Z]{2,6}(?:-\d+)*-\d{2,}(?![\w-])")
# What a query compares with a secret: `eq(jwt_secret,…)`, `jwt_secret=…`, also encoded.
_COMPARED = re.compile(
    r"((?:(?:eq|ne|[gl][te]|i?like|in|out|range)(?:\(|%28)(?:jwt_secret|headers)[\w.-]*(?:,|%2C)"
    r"|(?:^|[&|(,;]|%26)(?:jwt_secret|headers)[\w.-]*(?:=|%3D)))[^&]*",
    re.IGNORECASE,
)
_SECRETS = ("jwt_secret", "headers", "token", "installation_api_key")
_VALUE = re.compile(r'"(?:(?:structured_)?value|default)"\s*:\s*')
_DECODER = json.JSONDecoder(strict=False)

# Parts of paths whose bodies may contain secrets; values of variables are one's, too.
_VARIABLES = "/variables"
_WITH_SECRETS = ("/webhooks", "/regeneratesecret", "/auth/tokens", "/impersonate", _VARIABLES)

_Object = dict[str, Any]
MAX_BODY = 16 * 1024  # bytes of a body that are stored, except of errors
MAX_OBJECTS = 100  # objects named by a call that are stored

_NUL = "\N{REPLACEMENT CHARACTER}"
_SPARE = 1.0  # seconds by which a store may last, or the clocks of processes differ


def without_compared_secrets(query: str) -> str:
    """Return a query without what it compares JWT secrets and header values with."""
    return _COMPARED.sub(rf"\1{MASK}", query)


def without_secrets(body: str, keys: Collection[str] = _SECRETS) -> str:
    """Return a JSON body with secrets and header values masked; none that is not valid."""
    if not body:
        return ""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return f"[not valid JSON, {len(body)} characters: left out, since it may contain secrets]"
    return _changed(value, lambda each: _mask_secrets(each, keys))


def password_names(rows: Iterable[tuple[str, int, str]]) -> set[str]:
    """Return what calls may name parameters by, of their products, numbers and names."""
    return {each for product, number, name in rows for each in (name, numbered_id(product, number))}


def without_passwords(body: str, names: Collection[str] = (), path: str = "") -> str:
    """Return a body with the values of password parameters masked, by type or by their `names`.

    A request that changes a parameter names it in its `path` only. In a body that is cut, or no
    valid JSON, all values are masked if it has such a parameter. What has none is returned as it
    is.
    """
    is_of_password = path.rstrip("/").rpartition("/")[2] in names
    # The API takes types in any case.
    has_type = '"password"' in body.lower()
    if not (is_of_password or has_type or any(f'"{name}"' in body for name in names)):
        return body
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return _without_values(body)
    before = _text_of(value)
    if is_of_password and isinstance(value, dict) and not value.get("type"):
        mask_values(value)
    after = _changed(value, lambda each: mask_password(each, names))
    return body if after == before else after


def _without_values(body: str) -> str:
    """Return a body that is no valid JSON with all values masked.

    What follows a value that does not end is left out.
    """
    parts, end = [], 0
    for match in _VALUE.finditer(body):
        if match.start() < end:
            # Inside the value before it.
            continue
        parts += [body[end : match.end()], f'"{MASK}"']
        try:
            _, end = _DECODER.raw_decode(body, match.end())
        except (ValueError, RecursionError):
            return "".join(parts)
    return "".join([*parts, body[end:]])


def _changed(value: Any, mask: Callable[[_Object], None]) -> str:
    for each in _objects(value):
        mask(each)
    return _text_of(value)


def _text_of(value: Any) -> str:
    # Half of a surrogate pair, which JSON can escape, has no form in UTF-8.
    text = json.dumps(value, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


def _objects(value: Any) -> Iterator[_Object]:
    """Yield the objects in a JSON value, at any depth, each before what is in it."""
    remaining = [value]
    while remaining:
        current = remaining.pop()
        if isinstance(current, list):
            remaining += current
        elif isinstance(current, dict):
            yield current
            remaining += current.values()


def _mask_secrets(each: _Object, keys: Collection[str]) -> None:
    for key in keys:
        if value := each.get(key):
            each[key] = masked(value) if isinstance(value, dict) and key == "headers" else MASK


def mask_password(each: _Object, names: Collection[str]) -> None:
    """Mask the values of an object if they are a password's.

    A configured value has its parameter in an object of its own. Where that has a type, its name
    says nothing: another product may have an ordinary parameter of the same name.
    """
    parameter: Any = each.get("parameter")
    keys = ["id", "name"]
    if not isinstance(parameter, dict):
        parameter, keys = each, ["id"]
    if kind := parameter.get("type"):
        is_password = isinstance(kind, str) and kind.lower() == "password"
    else:
        ids = [parameter.get(key) for key in keys]
        is_password = any(isinstance(pk, str) and pk in names for pk in ids)
    if is_password:
        mask_values(each)


def mask_values(each: _Object) -> None:
    """Mask the values that a parameter has in an object or row."""
    for key in ("value", "structured_value", "default"):
        if each.get(key):
            each[key] = MASK


@dataclass(slots=True)
class RecordedCall:
    """A call as its request's thread recorded it.

    `started` is Unix time, `duration` in milliseconds. Bodies are complete if they are of an error
    or may contain a secret, else their first MAX_BODY bytes. `request_note` and `response_note`
    describe bodies that are not text. `faults` are those that fired, and `opened` the ids of its
    open entries in the timeline: of the first transaction that was committed, which may have
    written several. `credential` is its `Authorization` header, which is not stored.
    """

    started: float
    duration: float
    actor: str
    account: str | None
    key: str
    method: str
    path: str
    query: str
    status: int
    user_agent: str
    request_body: bytes = field(default=b"", repr=False)
    response_body: bytes = field(default=b"", repr=False)
    request_note: str = ""
    response_note: str = ""
    is_truncated: bool = False
    faults: Sequence[Mapping[str, str]] = ()
    opened: Sequence[int] = ()
    credential: str = field(default="", repr=False)

    @property
    def ended_at(self) -> datetime:
        """Return the real time at which the call ended."""
        return datetime.fromtimestamp(self.started, UTC) + timedelta(milliseconds=self.duration)

    @property
    def size(self) -> int:
        """Return about how many bytes of memory it takes."""
        return 1000 + len(self.request_body) + len(self.response_body)


@dataclass(slots=True)
class _Row:
    """A call and its row, when it ended, which objects it names and which one it is about."""

    call: RecordedCall
    stored: ApiCall
    ended_at: datetime
    objects: list[str]
    about: str | None


def may_have_secrets(path: str) -> bool:
    """Return whether bodies of a path may contain JWT secrets, header values, or a new key."""
    return any(part in path for part in _WITH_SECRETS)


def store(calls: Sequence[RecordedCall]) -> None:
    """Store the calls, in one transaction.

    Without those that ended before a reset or restore: they belong to the data that it has
    replaced.
    """
    if wakeup.is_broker_in_memory():
        rows = _rows(calls)
        # It blocks other writers of SQLite: everything else is done before.
        with transaction.atomic():
            _insert(rows)
        return
    with transaction.atomic():
        background_work.hold_transaction()
        _insert(_rows(calls))


def _rows(calls: Sequence[RecordedCall]) -> list[_Row]:
    """Return the rows of the calls, but of those of replaced data, whose entries are removed."""
    state = clock.state()
    if (replaced_at := state.replaced_at) is not None:
        old = [call for call in calls if call.ended_at < replaced_at]
        timeline.remove(pk for call in old for pk in call.opened)
        calls = [call for call in calls if call.ended_at >= replaced_at]
    accounts = {call.account for call in calls if call.account}
    redactions = account_secrets.redactions(accounts)
    rows = [_row(call, state, redactions.get(call.account or "", Redaction())) for call in calls]
    _link(rows)
    return rows


def _row(call: RecordedCall, state: clock.State, redaction: Redaction) -> _Row:
    offset, frozen_at = state.offset, state.frozen_at
    started, ended = datetime.fromtimestamp(call.started, UTC), call.ended_at
    redaction = redaction.including([call.credential])
    path = storable_text(call.path)
    sent = call.request_body.decode(errors="replace")
    returned = call.response_body.decode(errors="replace")
    in_path = OBJECT_ID.findall(path)
    objects = list(dict.fromkeys([*in_path, *OBJECT_ID.findall(sent)]))[:MAX_OBJECTS]
    is_error = call.status >= 400
    code = _error_code(returned) if is_error else ""
    is_truncated, query, masks = call.is_truncated, call.query, False
    if may_have_secrets(path):
        query = without_compared_secrets(query)
        keys = (*_SECRETS, "value") if _VARIABLES in path else _SECRETS
        sent, returned = without_secrets(sent, keys), without_secrets(returned, keys)
        masks = MASK in query + sent + returned
    texts = [path, query, call.user_agent]
    bodies = [call.request_note or sent, call.response_note or returned]
    are_cut = [
        is_truncated and len(each) >= MAX_BODY for each in (call.request_body, call.response_body)
    ]
    stored = [
        *map(redaction.text, texts),
        *(redaction.text(each, is_cut=cut) for each, cut in zip(bodies, are_cut, strict=True)),
    ]
    redacted = masks or stored != [*texts, *bodies]
    path, query, agent, sent, returned = map(storable_text, stored)
    if may_have_secrets(call.path) and not is_error:
        is_truncated = max(len(sent), len(returned)) > MAX_BODY
        sent, returned = sent[:MAX_BODY], returned[:MAX_BODY]
    row = ApiCall(
        started_at=frozen_at or started + offset,
        real_started_at=started,
        duration=round(call.duration, 3),
        actor=call.actor,
        account_id=call.account,
        key=call.key,
        method=call.method,
        path=path,
        query=query,
        status=call.status,
        error_code=code,
        request_body=sent,
        response_body=returned,
        is_truncated=is_truncated,
        redacted=redacted,
        user_agent=agent[:200],
        faults=list(call.faults),
    )
    about = in_path[0] if in_path else timeline.only(objects)
    return _Row(call, row, frozen_at or ended + offset, objects, about)


def storable_text(text: str) -> str:
    """Return the text without what PostgreSQL cannot store: NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", _NUL).encode(errors="replace").decode()


def _error_code(body: str) -> str:
    try:
        code = json.loads(body).get("error_code")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return storable_text(str(code))[:16] if code else ""


def _link(rows: Sequence[_Row]) -> None:
    """Link the calls of handlers to attempts."""
    linked = [row for row in rows if row.call.account and row.call.actor == ApiCall.HANDLER]
    callers = [
        Caller(
            row.call.account or "",
            row.stored.started_at,
            frozenset(row.objects),
            row.stored.real_started_at,
        )
        for row in linked
    ]
    for row, link in zip(linked, attempts.find_links(callers), strict=True):
        if link is not None:
            row.stored.webhook_id = link.webhook
            row.stored.delivery_id = link.delivery
            row.stored.attempt = link.attempt
            row.stored.link = link.certainty


def _insert(rows: Sequence[_Row]) -> None:
    ApiCall.objects.bulk_create([row.stored for row in rows])
    ApiCallObject.objects.bulk_create(
        ApiCallObject(call=row.stored, object_id=name) for row in rows for name in row.objects
    )
    entries = [_entry(row) for row in rows]
    # Later entries may have been read already if its own has been open for long.
    since = time.time() - timeline.OPEN_FOR + _SPARE
    completed: dict[int, Entry] = {}
    added: list[Entry] = []
    removed: list[int] = []
    for row, entry in zip(rows, entries, strict=True):
        opened = list(row.call.opened)
        if opened and row.call.started > since:
            completed[opened.pop(0)] = entry
        else:
            added.append(entry)
        removed += opened
    timeline.complete(completed)
    timeline.append(added)
    timeline.remove(removed)
    _announce(entries)


def _entry(row: _Row) -> Entry:
    stored = row.stored
    return Entry(
        timeline.API_CALL,
        row.ended_at,
        stored.webhook_id,
        stored.delivery_id,
        stored.attempt,
        row.about,
        {
            "id": stored.pk,
            "method": stored.method,
            "path": stored.path,
            "query": stored.query,
            "status": stored.status,
            "error_code": stored.error_code,
            "duration": stored.duration,
            "actor": stored.actor,
            "account": stored.account_id,
            "key": stored.key,
            "link": stored.link,
        },
        real_at=row.call.ended_at,
    )


def _announce(entries: Sequence[Entry]) -> None:
    """Announce API calls to their accounts, with the deliveries that they are linked to."""
    if not topics.LISTENERS:
        return
    for entry in entries:
        if account := entry.data["account"]:
            changed = [observer.CALLS]
            if entry.delivery is not None:
                changed += [DELIVERIES, one(DELIVERIES, entry.delivery)]
            if entry.object is not None:
                changed.append(one(OBJECTS, entry.object))
            topics.announce({account}, *changed)
