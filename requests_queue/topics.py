"""Topics: what open pages show, and which transactions have changed it.

A writer announces the topics in its transaction, and the accounts that may see the rows:

    topics.announce(row.parties(), topics.OBJECTS, topics.one(topics.OBJECTS, row.pk))

Listeners are called after the commit, in the thread that has committed: they must not block. A
notice has no content: pages read again what they show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from django.db import transaction

# A topic is a kind of rows, or one of them: `objects` or `objects:PR-…`.
OBJECTS = "objects"
# All topics, for example after a move of the clock.
EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Notice:
    """Topics that have changed, for pages of some accounts; None is all accounts."""

    accounts: frozenset[str] | None
    topics: frozenset[str]

    def matches(self, account: str, topics: frozenset[str]) -> frozenset[str]:
        """Return those of a page's topics that have changed."""
        if self.accounts is not None and account not in self.accounts:
            return frozenset()
        return topics if EVERYTHING in self.topics else topics & self.topics


Listener = Callable[[Notice], None]

# Called with each notice of this process.
LISTENERS: list[Listener] = []


def one(kind: str, pk: object) -> str:
    """Return the topic of one object."""
    return f"{kind}:{pk}"


def announce(accounts: Iterable[str] | None, *changed: str) -> None:
    """Call the listeners when the transaction is committed; None is all accounts."""
    if LISTENERS:
        notice = Notice(None if accounts is None else frozenset(accounts), frozenset(changed))
        transaction.on_commit(partial(deliver, notice), robust=True)


def announce_objects(accounts: Iterable[str], *ids: str) -> None:
    """Announce that objects of queues have changed."""
    announce(accounts, OBJECTS, *(one(OBJECTS, pk) for pk in ids))


def deliver(notice: Notice) -> None:
    """Call the listeners now."""
    for listener in list(LISTENERS):
        listener(notice)
