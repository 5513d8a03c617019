"""Deliveries by the terms of a search: conditions that both databases answer in bounded time.

What looks into texts (bodies, errors, names) looks at the newest 10,000 only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

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

LOOKED_AT = 10_000


class _BytesIndex(Func):
    """Where bytes begin within a binary column, from 1; 0 where they aren't in it."""

    function = "INSTR"
    output_field = IntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """PostgreSQL has the two the other way round, and a word between them."""
        turned = self.copy()
        turned.set_source_expressions(self.get_source_expressions()[::-1])
        return turned.as_sql(
            compiler, connection, template="POSITION(%(expressions)s)", arg_joiner=" IN ", **context
        )


def visible(account: Account) -> QuerySet[Delivery]:
    """Return the deliveries that an account may see: those of its webhooks."""
    return Delivery.objects.filter(**_own(account))


def _own(account: Account) -> dict[str, Any]:
    return {"webhook__account": account, "webhook__deleted_at": None}


def deliveries(account: Account, terms: Sequence[Term]) -> QuerySet[Delivery]:
    """Return what the account may see and all terms are true of."""
    rows = visible(account)
    for term in terms:
        if term.key in _ON_DELIVERY:
            rows = rows.filter(_any(_ON_DELIVERY[term.key](value) for value in term.values))
    about_calls = calls(terms)
    if about_calls:
        called = Attempt.objects.filter(about_calls, delivery=OuterRef("pk"))
        if is_bounded(terms, "body"):
            called = called.filter(pk__gte=_floor(Attempt.objects.filter(**_own(account))))
        rows = rows.filter(Exists(called))
    if is_bounded(terms, ""):
        rows = rows.filter(pk__gte=_floor(visible(account)))
    return rows


def calls(terms: Sequence[Term]) -> Q:
    """Return what the terms say of calls: all of it must be true of one and the same."""
    found = Q()
    for term in terms:
        if term.key in _ON_CALL:
            found &= _any(_ON_CALL[term.key](value) for value in term.values)
    return found


def is_bounded(terms: Iterable[Term], *keys: str) -> bool:
    """Whether any of the terms looks into texts, and so at the newest only."""
    return any(term.key in (keys or ("", "body")) and term.values for term in terms)


def _floor(rows: QuerySet[Any]) -> int:
    """Return the key of the oldest row that is still looked at."""
    oldest = rows.order_by("-pk").values_list("pk", flat=True)[LOOKED_AT - 1 : LOOKED_AT]
    return next(iter(oldest), 0)


def _any(conditions: Iterable[Q]) -> Q:
    found = Q()
    for condition in conditions:
        found |= condition
    return found


def _webhook(value: str) -> Q:
    return Q(webhook=value.upper()) | Q(webhook__label__icontains=value)


def _object(value: str) -> Q:
    about = Event.objects.filter(delivery=OuterRef("pk"), object_id__startswith=value.upper())
    return Q(Exists(about))


def _word(value: str) -> Q:
    about = Event.objects.filter(delivery=OuterRef("pk"), object_id__icontains=value)
    failed = Attempt.objects.filter(delivery=OuterRef("pk"), error__icontains=value)
    named = Q(webhook__label__icontains=value) | Q(webhook__id__icontains=value)
    return named | Q(Exists(about)) | Q(Exists(failed))


def _status(value: Between | None) -> Q:
    if value is None:
        return Q(status_code__isnull=True)
    return Q(status_code__gte=value.low, status_code__lte=value.high)


def _body(value: str) -> Q:
    got = _BytesIndex(F("response_body"), Value(value.encode(), output_field=BinaryField()))
    sent = StrIndex(F("request_body"), Value(value))
    return Q(GreaterThan(sent, 0)) | Q(GreaterThan(got, 0))


_ON_DELIVERY: dict[str, Any] = {
    "": _word,
    "webhook": _webhook,
    "object": _object,
    "state": lambda value: Q(state=value),
    "before": lambda value: Q(created_at__lt=value),
    "after": lambda value: Q(created_at__gte=value),
}
_ON_CALL: dict[str, Any] = {
    "status": _status,
    "outcome": lambda value: Q(outcome=value),
    "method": lambda value: Q(method=value),
    "body": _body,
}
