"""The portal's own tables."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from requests_queue.catalog.models import Account


class InquiryCheck(models.Model):
    """The latest check of an inquiring form: at most one row per request.

    The values of an older check are not stored: the customer has changed them since.
    """

    request_id = models.CharField(max_length=40, primary_key=True)
    # One load of the form in one browser tab; numbers are comparable within it only.
    page = models.CharField(max_length=40)
    number = models.PositiveBigIntegerField()

    def __str__(self) -> str:
        return f"{self.request_id}: check {self.number}"


class BulkResend(models.Model):
    """Many deliveries that are sent again in steps: how far it is is part of each step.

    `deliveries` are those that matched when it was created, the oldest first; `position` is how
    many of them are done. `latest` are the new deliveries of the last step.
    """

    ASKED, RUNNING, FINISHED, CANCELLED = "asked", "running", "finished", "cancelled"
    STATES = [(state, state) for state in (ASKED, RUNNING, FINISHED, CANCELLED)]

    account = models.ForeignKey(Account, models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    # Of the form: a form that is sent twice creates one.
    key = models.UUIDField()
    state = models.CharField(max_length=9, choices=STATES, default=ASKED)
    created_at = models.DateTimeField()
    # The page to return to.
    page = models.TextField()
    deliveries = models.JSONField(default=list)
    total = models.IntegerField()
    position = models.IntegerField(default=0)
    sent = models.IntegerField(default=0)
    # Why the latest that was refused was refused.
    refused = models.TextField(blank=True)
    latest = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint("account", "key", name="bulk_resend_key")]
        indexes = [
            models.Index(
                fields=["id"], condition=models.Q(state="running"), name="bulk_resend_running"
            )
        ]

    def __str__(self) -> str:
        return f"{self.total} deliveries of {self.account_id} sent again: {self.state}"

    @property
    def is_running(self) -> bool:
        """Whether there are more steps."""
        return self.state == self.RUNNING

    @property
    def not_sent(self) -> int:
        """How many of those that are done were not sent again."""
        return self.position - self.sent
