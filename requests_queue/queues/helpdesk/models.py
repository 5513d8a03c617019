"""The models of helpdesk cases and of their attachments."""

from __future__ import annotations

from typing import Literal, get_args

from django.db import models
from django.db.models import QuerySet

from requests_queue.catalog.models import Account, Product, User
from requests_queue.queues.base import QueueObject, list_indexes

State = Literal["pending", "inquiring", "resolved", "closed"]
Type = Literal["technical", "business"]
# Low, medium, high, urgent.
Priority = Literal[0, 1, 2, 3]
Rating = Literal[1, 2, 3, 4, 5]
PENDING, INQUIRING, RESOLVED, CLOSED = STATES = get_args(State)
TYPES, PRIORITIES, RATINGS = get_args(Type), get_args(Priority), get_args(Rating)


def _user() -> models.ForeignKey[User | None]:
    return models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")


def _account() -> models.ForeignKey[Account]:
    return models.ForeignKey(Account, models.CASCADE, related_name="+")


class Case(QueueObject):
    """A case (`CA-`) that its issuer opens with its receiver. The API calls `status` `state`.

    `vendor` and `provider` are the same two accounts by their role. `assignee` is the receiver's
    agent. Each state has the moment when the case came into it last, and by whom.
    """

    product = models.ForeignKey(  # type: ignore[assignment]
        Product, models.CASCADE, null=True, blank=True, related_name="+"
    )
    type = models.CharField(max_length=16)
    subject = models.CharField(max_length=300)
    description = models.TextField()
    priority = models.SmallIntegerField(default=0)
    issuer = _account()
    receiver = _account()
    issuer_agent = _user()
    issuer_recipients = models.ManyToManyField(User, related_name="+", blank=True)
    receiver_recipients = models.ManyToManyField(User, related_name="+", blank=True)
    rating = models.SmallIntegerField(null=True, blank=True)
    feedback = models.TextField(blank=True)
    created_by = _user()
    updated_by = _user()
    pending_at = models.DateTimeField(null=True, blank=True)
    pending_by = _user()
    inquiring_at = models.DateTimeField(null=True, blank=True)
    inquiring_by = _user()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = _user()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = _user()

    class Meta(QueueObject.Meta):
        indexes = [
            *list_indexes("helpdesk_case"),
            # What the platform closes by its clock.
            models.Index(fields=["status", "resolved_at"], name="helpdesk_case_resolved"),
        ]


class Attachment(models.Model):
    """A file (`CAAT-`) that a party has added to a case."""

    id = models.CharField(max_length=40, primary_key=True)
    case = models.ForeignKey(Case, models.CASCADE, related_name="attachments")
    account = _account()
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=100)
    size = models.IntegerField()
    # The type of a picture that browsers draw, by how the content begins; empty for other files.
    preview_type = models.CharField(max_length=32, blank=True)
    content = models.BinaryField()
    created = models.DateTimeField()
    created_by = _user()

    class Meta:
        ordering = ["created", "id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.pk})"

    @classmethod
    def visible_to(cls, account: Account) -> QuerySet[Attachment]:
        """Return the attachments of the cases that an account is a party to."""
        return cls.objects.filter(case__in=Case.visible_to(account))
