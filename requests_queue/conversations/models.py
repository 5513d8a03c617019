"""Models of conversations and messages; the API shows their numbers as `CO-…` and `ME-…`."""

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


def number_of(prefix: str, identifier: str) -> int:
    """Return the number in an identifier, 0 (which no row has) for any other text."""
    if not re.fullmatch(rf"{prefix}(-[0-9]{{3}}){{3,6}}", identifier):
        return 0
    number = int(identifier.partition("-")[2].replace("-", ""))
    return number if label(prefix, number) == identifier else 0


class Conversation(models.Model):
    """The conversation about one queue object, which it refers to by its id.

    The database numbers the rows, so that a queue change needs no query for a free identifier.
    """

    PREFIX = "CO"

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
        return label(self.PREFIX, self.pk)

    @classmethod
    def visible_to(cls, account: Account) -> QuerySet[Conversation]:
        """Return the conversations that an account is a party to."""
        return cls.objects.filter(accounts=account)


class Message(models.Model):
    """One message; without an account it is from the platform. `created` is platform time."""

    PREFIX = "ME"

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
        return label(self.PREFIX, self.pk)

    @classmethod
    def visible_to(cls, account: Account) -> QuerySet[Message]:
        """Return the messages of an account's conversations, without private ones of others."""
        return cls.objects.filter(
            ~Q(type=PRIVATE) | Q(account=account), conversation__accounts=account
        )
