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
    CharField,
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
from requests_queue.db import sql
from webhooks.models import Attempt, Delivery, Event, Webhook

TEXT_SEARCH_LIMIT = 10_000
_MERGED = 50  # webhooks whose newest rows are merged
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


class _Lookup(Exists):
    """EXISTS that PostgreSQL evaluates for each row, by an index.

    Otherwise it may read all rows of the other table first, since it doesn't know that the first
    few rows fill a page.
    """

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Write an OFFSET, which forbids to join the tables."""
        return self.as_sql(
            compiler, connection, template="EXISTS(%(subquery)s OFFSET 0)", **context
        )


class _Unindexed(Func):
    """A column for which SQLite uses no index."""

    template = "%(expressions)s"
    output_field = CharField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Write a unary plus, which changes nothing else."""
        return self.as_sql(compiler, connection, template="+%(expressions)s", **context)


def visible(account: Account) -> QuerySet[Delivery]:
    """Return the deliveries that an account may see: those of its webhooks."""
    return Delivery.objects.filter(webhook__account=account, webhook__deleted_at=None)


def own_webhooks(account: Account, webhook: str = "") -> dict[str, str]:
    """Return the names of the account's webhooks (of one only, if given) by id, in their order."""
    rows = Webhook.objects.filter(account=account)
    if webhook:
        rows = rows.filter(pk=webhook)
    return dict(rows.order_by("label", "pk").values_list("pk", "label"))


def deliveries(account: Account, terms: Sequence[Term], webhook: str = "") -> QuerySet[Delivery]:
    """Return the account's deliveries (of one webhook, if given) that match all terms."""
    if searches_text(terms):
        return matching(list(own_webhooks(account, webhook)), terms)
    rows = visible(account)
    return _matching(rows.filter(webhook=webhook) if webhook else rows, (), terms)


def matching(webhooks: Sequence[str], terms: Sequence[Term]) -> QuerySet[Delivery]:
    """Return those deliveries of the webhooks that match all terms."""
    rows = Delivery.objects.filter(webhook__in=webhooks)
    if searches_text(terms):
        # By ids: with its index of webhooks, SQLite would read all texts of a webhook none of which
        # matches, while those of another fill the page.
        rows = Delivery.objects.alias(own=_Unindexed("webhook")).filter(own__in=webhooks)
    return _matching(rows, webhooks, terms)


def _matching(
    rows: QuerySet[Delivery], webhooks: Sequence[str], terms: Sequence[Term]
) -> QuerySet[Delivery]:
    """Return the rows that match all terms; a search of texts needs their webhooks."""
    for term in terms:
        if term.key in _OF_DELIVERY:
            rows = rows.filter(_any(map(_OF_DELIVERY[term.key], term.values)))
    if of_attempt := attempts(terms):
        found = Attempt.objects.filter(of_attempt, delivery=OuterRef("pk"))
        if searches_text(terms, "body"):
            first = first_of_newest("webhooks_attempt", webhooks, TEXT_SEARCH_LIMIT)
            found = found.filter(pk__gte=first)
        rows = rows.filter(_Lookup(found))
    if searches_text(terms, ""):
        first = first_of_newest("webhooks_delivery", webhooks, TEXT_SEARCH_LIMIT)
        rows = rows.filter(pk__gte=first)
    return rows


def attempts(terms: Sequence[Term]) -> Q:
    """Return the terms on attempts: one attempt must match all of them."""
    condition = Q()
    for term in terms:
        if term.key in _OF_ATTEMPT:
            condition &= _any(map(_OF_ATTEMPT[term.key], term.values))
    return condition


def failed_attempts(webhooks: Sequence[str], terms: Sequence[Term]) -> QuerySet[Attempt]:
    """Return the failed attempts of the webhooks that match, of deliveries that match."""
    rows = Attempt.objects.filter(attempts(terms), webhook__in=webhooks, outcome=Attempt.FAILURE)
    if of_delivery := [term for term in terms if term.key in _OF_DELIVERY]:
        rows = rows.filter(_Lookup(matching(webhooks, of_delivery).filter(pk=OuterRef("delivery"))))
    return rows


def searches_text(terms: Iterable[Term], *keys: str) -> bool:
    """Whether a term (of one of the keys) searches text, and so only the newest rows."""
    return any(term.key in (keys or ("", "body")) and term.values for term in terms)


def first_of_newest(
    table: str, webhooks: Sequence[str], number: int, condition: str = "", *values: Any
) -> int:
    """Return the first id of the `number` newest rows that meet a condition, 0 if there are fewer.

    Merges the index of each webhook: otherwise PostgreSQL reads the rows of all webhooks, or sorts
    all rows of these. `condition` begins with AND and has `values` as its parameters.
    """
    if not webhooks:
        return 0
    each = [[pk] for pk in webhooks] if len(webhooks) <= _MERGED else [webhooks]
    selects = [
        f"SELECT id FROM {table} WHERE webhook_id IN ({sql.placeholders(ids)}) {condition}"
        for ids in each
    ]
    if connection.vendor == "postgresql" and len(selects) > 1:
        # It merges only what is sorted, while SQLite would sort a second time.
        selects = [f"({select} ORDER BY id DESC LIMIT {number})" for select in selects]
    with connection.cursor() as cursor:
        cursor.execute(
            f"{' UNION ALL '.join(selects)} ORDER BY id DESC LIMIT 1 OFFSET {number - 1}",
            [value for ids in each for value in (*ids, *values)],
        )
        row = cursor.fetchone()
    return row[0] if row else 0


def _any(conditions: Iterable[Q]) -> Q:
    return reduce(or_, conditions, Q())


def _has_event(**condition: str) -> Q:
    return Q(Exists(Event.objects.filter(delivery=OuterRef("pk"), **condition)))


def _object(value: str) -> Q:
    start = value.upper()
    if len(start) < _SELECTIVE:
        return _has_event(object_id__startswith=start)
    return Q(pk__in=events_about(start).values("delivery"))


def events_about(start: str) -> QuerySet[Event]:
    """Return the events about objects whose ids have that start, by an index."""
    events = Event.objects.filter(object_id__startswith=start).order_by()
    if connection.vendor == "sqlite":
        # Its LIKE uses no index, which this range does.
        events = events.filter(object_id__gte=start, object_id__lt=f"{start}\U0010ffff")
    return events


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
    "webhook": lambda value: Q(webhook=value.upper()) | Q(webhook__label__icontains=value),
    "object": _object,
    "event": _event,
    "attempts": lambda value: Q(attempts__gte=value.low, attempts__lte=value.high),
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
