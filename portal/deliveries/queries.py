"""Deliveries that match the terms of a search, with bounded work on both databases.

Terms that search texts (bodies, errors, names) cover only the newest 10,000 rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.db import connection
from django.db.models import (
    BinaryField,
    Exists,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Value,
)
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan

from portal.deliveries.search import Between, Term
from requests_queue.catalog.models import Account
from webhooks.models import Attempt, Delivery, Event

TEXT_SEARCH_LIMIT = 10_000
_SELECTIVE = 8  # characters of an object's id, of which there are few
TRIGGER = "trigger"  # the value of `event` for Trigger now


class _BytesIndex(Func):
    """The position of bytes in a binary column, from 1; 0 if absent."""

    function = "INSTR"
    output_field = IntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Write `POSITION(needle IN column)`, with the arguments swapped."""
        swapped = self.copy()
        swapped.set_source_expressions(self.get_source_expressions()[::-1])
        return swapped.as_sql(
            compiler, connection, template="POSITION(%(expressions)s)", arg_joiner=" IN ", **context
        )


def visible(account: Account) -> QuerySet[Delivery]:
    """Return the deliveries that an account may see: those of its webhooks."""
    return Delivery.objects.filter(**_own(account))


def _own(account: Account) -> dict[str, Any]:
    return {"webhook__account": account, "webhook__deleted_at": None}


def deliveries(account: Account, terms: Sequence[Term], webhook: str = "") -> QuerySet[Delivery]:
    """Return the account's deliveries (of one webhook, if given) that match all terms."""
    rows = visible(account)
    if webhook:
        rows = rows.filter(webhook=webhook)
    return matching(rows, account, terms)


def matching(
    rows: QuerySet[Delivery], account: Account, terms: Sequence[Term]
) -> QuerySet[Delivery]:
    """Return those of the account's deliveries that match all terms."""
    for term in terms:
        if term.key in _OF_DELIVERY:
            rows = rows.filter(_any(map(_OF_DELIVERY[term.key], term.values)))
    if of_attempt := attempts(terms):
        found = Attempt.objects.filter(of_attempt, delivery=OuterRef("pk"))
        if searches_text(terms, "body"):
            own = Attempt.objects.filter(**_own(account))
            found = found.filter(pk__gte=_oldest_searched(own))
        rows = rows.filter(Exists(found))
    if searches_text(terms, ""):
        rows = rows.filter(pk__gte=_oldest_searched(visible(account)))
    return rows


def attempts(terms: Sequence[Term]) -> Q:
    """Return the terms on attempts: one attempt must match all of them."""
    condition = Q()
    for term in terms:
        if term.key in _OF_ATTEMPT:
            condition &= _any(map(_OF_ATTEMPT[term.key], term.values))
    return condition


def searches_text(terms: Iterable[Term], *keys: str) -> bool:
    """Whether a term (of one of the keys) searches text, and so only the newest rows."""
    return any(term.key in (keys or ("", "body")) and term.values for term in terms)


def _oldest_searched(rows: QuerySet[Any]) -> int:
    last = slice(TEXT_SEARCH_LIMIT - 1, TEXT_SEARCH_LIMIT)
    return next(iter(rows.order_by("-pk").values_list("pk", flat=True)[last]), 0)


def _any(conditions: Iterable[Q]) -> Q:
    return reduce(or_, conditions, Q())


def _webhook(value: str) -> Q:
    return Q(webhook=value.upper()) | Q(webhook__label__icontains=value)


def _has_event(**condition: str) -> Q:
    return Q(Exists(Event.objects.filter(delivery=OuterRef("pk"), **condition)))


def _object(value: str) -> Q:
    start = value.upper()
    if len(start) < _SELECTIVE:
        return _has_event(object_id__startswith=start)
    events = Event.objects.filter(object_id__startswith=start)
    if connection.vendor == "sqlite":
        # Its LIKE uses no index, which this range does.
        events = events.filter(object_id__gte=start, object_id__lt=f"{start}\U0010ffff")
    return Q(pk__in=events.order_by().values("delivery"))


def _event(value: str) -> Q:
    if value.lower() == TRIGGER:
        return _has_event(object_id="")
    return Q(
        Exists(
            Event.objects.filter(delivery=OuterRef("pk"), status_to=value.lower()).exclude(
                object_id=""
            )
        )
    )


def _attempt_count(value: Between) -> Q:
    return Q(attempts__gte=value.low, attempts__lte=value.high)


def _word(value: str) -> Q:
    failed = Attempt.objects.filter(delivery=OuterRef("pk"), error__icontains=value)
    named = Q(webhook__label__icontains=value) | Q(webhook__id__icontains=value)
    return named | _has_event(object_id__icontains=value) | Q(Exists(failed))


def _status(value: Between | None) -> Q:
    if value is None:
        return Q(status_code__isnull=True)
    return Q(status_code__gte=value.low, status_code__lte=value.high)


def _body(value: str) -> Q:
    in_response = _BytesIndex(F("response_body"), Value(value.encode(), output_field=BinaryField()))
    in_request = StrIndex(F("request_body"), Value(value))
    return Q(GreaterThan(in_request, 0)) | Q(GreaterThan(in_response, 0))


_OF_DELIVERY: dict[str, Any] = {
    "": _word,
    "webhook": _webhook,
    "object": _object,
    "event": _event,
    "attempts": _attempt_count,
    "state": lambda value: Q(state=value),
    "before": lambda value: Q(created_at__lt=value),
    "after": lambda value: Q(created_at__gte=value),
}
_OF_ATTEMPT: dict[str, Any] = {
    "status": _status,
    "outcome": lambda value: Q(outcome=value),
    "method": lambda value: Q(method=value),
    "body": _body,
}
