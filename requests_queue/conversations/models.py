"""The rows of conversations and messages; the API shows their numbers as `CO-…` and `ME-…`."""

from __future__ import annotations

import re

from django.db import models
from django.db.models import Q, QuerySet

from requests_queue.catalog.models import Account, User

OPEN, CLOSED = "open", "closed"
MESSAGE, STATE_CHANGE, PRIVATE = "message", "state_change", "private"
TYPES = (MESSAGE, STATE_CHANGE, PRIVATE)


def label(prefix: str, number: int) -> str:
    """Return a row's number as Connect's identifier: `CO-000-000-042`."""
    digits = f"{number:09d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    return "-".join([prefix, *(digits[i : i + 3] for i in range(0, len(digits), 3))])


def number_of(prefix: str, given: str) -> int:
    """Return the number that an identifier stands for, 0 (which no row has) for any other text."""
    if not re.fullmatch(rf"{prefix}(-[0-9]{{3}}){{3,6}}", given):
        return 0
    found = int(given.partition("-")[2].replace("-", ""))
    return found if label(prefix, found) == given else 0


class Conversation(models.Model):
    """The conversation about one queue object; the object is known by its identifier only.

    Numbered by the database: a change of a queue then costs no look for a free identifier.
    """

    instance_id = models.CharField(max_length=40, unique=True)
    topic = models.CharField(max_length=100)
    type = models.CharField(max_length=16, default="conversation")
    status = models.CharField(max_length=8, default=OPEN)
    accounts = models.ManyToManyField(Account, related_name="+")
    creator = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created = models.DateTimeField()
    closed = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.shown_id} ({self.instance_id})"

    @property
    def shown_id(self) -> str:
        """The identifier in the API."""
        return label("CO", self.pk)

    @classmethod
    def visible_to(cls, account: Account) -> QuerySet[Conversation]:
        """Return the conversations that an account is a party to."""
        return cls.objects.filter(accounts=account)


class Message(models.Model):
    """One message; without an account it is the platform's. `created` is the platform's time."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    type = models.CharField(max_length=16)
    text = models.TextField()
    creator = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    account = models.ForeignKey(Account, models.CASCADE, null=True, related_name="+")
    created = models.DateTimeField()
    updated = models.DateTimeField(null=True)
    updated_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.shown_id

    @property
    def shown_id(self) -> str:
        """The identifier in the API."""
        return label("ME", self.pk)

    @classmethod
    def visible_to(cls, account: Account) -> QuerySet[Message]:
        """Return the messages of an account's conversations; private ones are their author's."""
        return cls.objects.filter(
            ~Q(type=PRIVATE) | Q(account=account), conversation__accounts=account
        )
