"""Objects by id, or by the beginning of one: only what an account may see.

A beginning is a range of the primary key, and whether an account may see a row is checked for each
row of the range: with a join, SQLite would read all rows of the account instead. So that a range is
short, it needs some digits, which are random. Its upper end is a letter, which every collation
sorts after digits and hyphens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse

from portal.commands import MAX_FOUND, Command
from portal.deliveries import queries
from portal.identity import Viewer
from portal.queues import labels
from requests_queue.catalog import visibility
from requests_queue.catalog.models import TierAccount
from requests_queue.conversations.models import Conversation, number_of
from requests_queue.queues import base
from requests_queue.queues.base import Queue
from requests_queue.queues.tier_config.models import TierConfig
from webhooks.models import Webhook
from webhooks.states import STATE_LABELS

_MIN_LENGTH, _MAX_LENGTH = 2, 40  # a delivery's number may be shorter
_MIN_DIGITS = 3
_NUMBER = re.compile(r"(?:delivery\s*)?#?([0-9]{1,18})", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+(-[0-9]+)*-?")
_ID = re.compile(r"[A-Z]{2,5}(-[0-9]+)*-?")


def find(viewer: Viewer, text: str) -> Iterator[Command]:
    """Return the deliveries, objects of queues, webhooks, products and others that a text names."""
    text = text.strip()
    if len(text) > _MAX_LENGTH:
        return
    yield from _deliveries(viewer, text)
    if len(text) < _MIN_LENGTH:
        return
    if _begins(text, "XX") is not None:
        for queue in base.registered():
            yield from _queue_objects(viewer, queue, text)
        yield from _related(viewer, text)
        yield from _tier_accounts(viewer, text)
        yield from _conversations(viewer, text)
    yield from _webhooks(viewer, text)
    yield from _products(viewer, text)


def _deliveries(viewer: Viewer, text: str) -> Iterator[Command]:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return
    row = queries.visible(viewer.account).select_related("webhook").only("state", "webhook__label")
    for each in row.filter(pk=int(match[1])):
        address = reverse("delivery", args=[each.pk])
        yield Command(
            f"Delivery {each.pk}",
            address,
            f"{each.webhook.label}, {STATE_LABELS[each.state].lower()}",
        )


def _queue_objects(viewer: Viewer, queue: Queue, text: str) -> Iterator[Command]:
    begins = _begins(text, *queue.prefixes)
    if begins is None:
        return
    listed = queue.model.listed_to(viewer.account)
    kind, name = labels.capital(labels.one_of(queue)), labels.name_of(queue)
    for row in _first(listed, begins).only("status", "product__name"):
        status = f", {queue.status(row.status).title}" if row.status else ""
        address = reverse("queue-object", args=[name, row.pk])
        about = f", {row.product.name}" if row.product else ""
        yield Command(row.pk, address, f"{kind}{status}{about}")


def _related(viewer: Viewer, text: str) -> Iterator[Command]:
    """Return the objects without a page of their own: each leads to the requests about it."""
    account = viewer.account
    configs = TierConfig.objects.filter(**visibility.party(account, "connection__"))
    kinds: tuple[tuple[str, str, str, QuerySet[Any]], ...] = (
        ("AS", "Subscription", "fulfillment", visibility.assets(account)),
        ("TC", "Tier configuration", "tier_config", configs),
        ("LST", "Listing", "listing", visibility.listings(account)),
    )
    for letters, kind, queue, rows in kinds:
        begins = _begins(text, letters)
        if begins is not None:
            for row in _first(rows, begins).only("product__name"):
                yield Command(row.pk, _requests(queue, row.pk), f"{kind}, {row.product.name}")


def _requests(queue: str, pk: str) -> str:
    """Return the page of a queue with the requests about an object."""
    return f"{reverse('queue', args=[queue])}?{urlencode({'status': '', 'q': pk})}"


def _tier_accounts(viewer: Viewer, text: str) -> Iterator[Command]:
    """Return the tier accounts, each with the orders of its subscriptions."""
    begins = _begins(text, "TA")
    if begins is None:
        return
    is_visible = Exists(visibility.tier_accounts(viewer.account).filter(pk=OuterRef("pk")))
    rows = TierAccount.objects.filter(begins, is_visible).only("name").order_by("pk")
    for row in rows[:MAX_FOUND]:
        address = (
            f"{reverse('queue', args=['fulfillment'])}?{urlencode({'status': '', 'q': row.pk})}"
        )
        yield Command(row.pk, address, f"Tier account, {row.name}")


def _conversations(viewer: Viewer, text: str) -> Iterator[Command]:
    """Return the object of a conversation, which is named by its whole id."""
    number = number_of(Conversation.PREFIX, text.upper())
    if not number:
        return
    for row in Conversation.visible_to(viewer.account).filter(pk=number):
        for queue in base.registered():
            for found in _queue_objects(viewer, queue, row.instance_id):
                if found.name == row.instance_id:
                    detail = f"Conversation about {row.instance_id}"
                    yield Command(row.shown_id, found.address, detail)


def _webhooks(viewer: Viewer, text: str) -> Iterator[Command]:
    rows = Webhook.objects.filter(account=viewer.account).only("label", "active", "out_of_order")
    condition = Q(label__icontains=text) | (_begins(text, "WH") or Q())
    for row in rows.filter(condition).order_by("label", "pk")[:MAX_FOUND]:
        yield Command(row.label, reverse("webhook", args=[row.pk]), f"Webhook {row.pk}")


def _products(viewer: Viewer, text: str) -> Iterator[Command]:
    rows = visibility.products(viewer.account).only("name")
    condition = Q(name__icontains=text) | (_begins(text, "PRD") or Q())
    for row in rows.filter(condition).order_by("name", "pk")[:MAX_FOUND]:
        yield Command(row.name, reverse("product", args=[row.pk]), f"Product {row.pk}")


def _first(visible: QuerySet[Any], begins: Q) -> QuerySet[Any]:
    is_visible = Exists(visible.filter(pk=OuterRef("pk")))
    rows: QuerySet[Any] = visible.model.objects.filter(begins, is_visible)
    return rows.select_related("product").order_by("pk")[:MAX_FOUND]


def _begins(text: str, *letters: str) -> Q | None:
    """Return the condition that an id begins with a text; digits may lack the letters.

    None if the text is not the beginning of an id, or has too few digits.
    """
    text = text.upper()
    if sum(map(str.isdigit, text)) < _MIN_DIGITS:
        return None
    if _ID.fullmatch(text):
        return _range(text)
    if _DIGITS.fullmatch(text) and letters:
        return reduce(or_, (_range(f"{each}-{text}") for each in letters))
    return None


def _range(start: str) -> Q:
    return Q(pk__gte=start, pk__lt=f"{start}z", pk__startswith=start)


def ranked(found: Iterable[Command], text: str) -> list[Command]:
    """Return the found objects, those with exactly this id first."""
    exact = text.strip().casefold()

    def rank(command: Command) -> bool:
        return exact not in f"{command.name} {command.detail}".casefold().replace(",", "").split()

    return sorted(found, key=rank)
