"""The models of webhooks: Webhook, Event, Delivery, Resend, Attempt, ClearedBackoff."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from requests_queue.catalog.models import Account, Product
from requests_queue.db.encryption import EncryptedJSONField, EncryptedTextField
from webhooks import states, types


class _Existing(models.Manager["Webhook"]):
    """The webhooks that are not deleted."""

    def get_queryset(self) -> models.QuerySet[Webhook]:
        return super().get_queryset().filter(deleted_at=None)


class Webhook(models.Model):
    """A webhook (`WH-`) with Connect's fields, its backoff and its counters.

    `earliest_possible_trigger` is the end of the backoff, `gate_closed_at` the time of its last
    counted failure, and `round` the failure count; all empty when healthy. The first stays set
    after it has passed until a success, so `webhooks.next_attempt` alone shows it.
    `revision` counts the edits after which older attempts say nothing about the settings.
    `deleted_at` is set when it is deleted; its rows are then removed in steps (`cleanup`), its own
    last. Queries that reach a webhook by a relation (`webhook__account`) exclude deleted ones
    themselves.
    """

    id = models.CharField(max_length=16, primary_key=True)
    type = models.CharField(max_length=40, choices=types.type_choices, default=types.EVENT)
    object_class = models.CharField(max_length=40, choices=types.object_class_choices)
    label = models.CharField("name", max_length=100)
    description = models.TextField(blank=True)
    active = models.BooleanField("enabled", default=True)
    external_url = models.CharField("endpoint URL", max_length=4096)
    http_method = models.CharField(
        "method", max_length=4, choices=[("POST", "POST"), ("GET", "GET")], default="POST"
    )
    jwt_secret = EncryptedTextField("JWT secret")
    headers = EncryptedJSONField(default=dict, blank=True)
    data = models.JSONField("additional data", default=dict, blank=True)
    product = models.ForeignKey(Product, models.CASCADE, related_name="webhooks")
    account = models.ForeignKey(Account, models.CASCADE, related_name="webhooks")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    modified_at = models.DateTimeField(null=True)
    modified_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    revision = models.IntegerField(default=0)

    earliest_possible_trigger = models.DateTimeField("next trigger", null=True)
    gate_closed_at = models.DateTimeField(null=True)
    round = models.IntegerField("failure count", default=0)
    out_of_order = models.BooleanField(default=False)

    last_event = models.DateTimeField(null=True)
    events = models.BigIntegerField(default=0)
    triggers = models.BigIntegerField(default=0)
    success_triggers = models.BigIntegerField(default=0)
    failure_triggers = models.BigIntegerField(default=0)
    failure_since_last_success = models.BigIntegerField(default=0)
    last_success = models.ForeignKey("Attempt", models.SET_NULL, null=True, related_name="+")
    last_failure = models.ForeignKey("Attempt", models.SET_NULL, null=True, related_name="+")
    # Whether its last success or failure had a response, of any status.
    responds = models.BooleanField(default=False, editable=False)

    # Sums of pruned rows, so that the counters can still be checked.
    pruned_events = models.BigIntegerField(default=0)
    pruned_successes = models.BigIntegerField(default=0)
    pruned_failures = models.BigIntegerField(default=0)
    pruned_unknown = models.BigIntegerField(default=0)
    # When the newest delivery was created that has been pruned.
    pruned_until = models.DateTimeField(null=True)

    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = _Existing()
    with_deleted = models.Manager["Webhook"]()

    class Meta:
        ordering = ["-created_at", "id"]
        indexes = [
            # The type is a column, not a condition: SQLite would not use the index for a parameter.
            models.Index(
                fields=["object_class", "product", "type", "account"],
                condition=Q(active=True),
                name="webhook_listening",
            ),
            # Read by every page.
            models.Index(
                fields=["account"],
                condition=Q(active=True, out_of_order=True),
                name="webhook_out_of_order",
            ),
            # Read by the metrics.
            models.Index(
                fields=["earliest_possible_trigger"],
                condition=Q(
                    active=True, out_of_order=False, earliest_possible_trigger__isnull=False
                ),
                name="webhook_backing_off",
            ),
            # Read by each claim while the last slots are reserved for them.
            models.Index(
                fields=["id"],
                condition=Q(active=True, out_of_order=False, responds=True),
                name="webhook_responding",
            ),
            models.Index(
                fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="webhook_deleted"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.id})"

    @property
    def backoff(self) -> states.BackoffState:
        """Return its backoff."""
        return states.BackoffState(*(getattr(self, name) for name in states.BACKOFF_COLUMNS))


class Event(models.Model):
    """One queue change for one webhook; Trigger now has no object."""

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="event_set")
    delivery = models.ForeignKey("Delivery", models.CASCADE, related_name="events")
    object_id = models.CharField("object", max_length=40, blank=True)
    status_from = models.CharField("from", max_length=16, blank=True)
    status_to = models.CharField("to", max_length=16, blank=True)
    at = models.DateTimeField()
    # What caused it, for traces; null without tracing (`webhooks.tracing`).
    trace = models.CharField(max_length=80, null=True, editable=False)

    class Meta:
        ordering = ["-id"]
        # The operators let PostgreSQL use it for the start of an id, too.
        indexes = [
            models.Index(
                fields=["object_id"], name="event_object_start", opclasses=["varchar_pattern_ops"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.object_id}: {self.change}" if self.object_id else "Trigger now"

    @property
    def change(self) -> str:
        """Return the change of status as text."""
        return describe_change(self.object_id, self.status_from, self.status_to)


def describe_change(object_id: str, status_from: str, status_to: str) -> str:
    """Return an event's change of status as text."""
    if not object_id:
        return "Trigger now"
    if status_from != status_to:
        return f"{status_from or 'created'} → {status_to}"
    # The status is unchanged: a validation, or an object without a status.
    return f"validated in {status_to}" if status_to else "changed"


class Delivery(models.Model):
    """What is owed to a handler because of events: the unit that is retried.

    `lease` is Unix time by the database's clock: after it, the claim is lost. `losses` is how many
    of the latest attempts in a row have lost their worker. From the second on, the delivery waits
    until `due_at` while others pass it; it is null for all others, which are due by their webhook's
    backoff.
    """

    WAITING, CALLING, DELIVERED, FAILED, CANCELLED = states.STATES
    STATES = [(s, s) for s in states.STATES]

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries", db_index=False)
    state = models.CharField(max_length=9, choices=STATES, default=WAITING)
    forced = models.BooleanField("trigger now", default=False)
    created_at = models.DateTimeField()
    claim = models.UUIDField(null=True)
    lease = models.FloatField(null=True)
    started_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    # Also a database default, because raw SQL inserts deliveries.
    losses = models.IntegerField(default=0, db_default=0)
    due_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            # With `due_at`, so that claims and events read the index alone.
            models.Index(
                fields=["webhook", "id", "due_at"],
                condition=Q(state="waiting", forced=False),
                name="delivery_waiting",
            ),
            models.Index(
                fields=["due_at"],
                condition=Q(state="waiting", due_at__isnull=False),
                name="delivery_due",
            ),
            models.Index(
                fields=["id"], condition=Q(state="waiting", forced=True), name="delivery_forced"
            ),
            models.Index(
                fields=["webhook", "lease"], condition=Q(state="calling"), name="delivery_calling"
            ),
            # With the time, so that a range of time reads the index alone, and not the rows of
            # other webhooks in between; so does the chart of the log, with the state. SQLite has no
            # included columns: with the state as a key, each claim would write a page of the index
            # for each of its webhooks.
            models.Index(
                fields=["webhook", "-id", "created_at"],
                include=["state"],
                name="delivery_of_webhook",
            ),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk} ({self.state})"


class Resend(models.Model):
    """What the first attempt of a resend sends in place of the webhook's settings.

    `payload` is the content of the token (text, since PostgreSQL's JSON keeps no order); `body` is
    a validator's object, and empty if the payload is the body. `revision` is that of the webhook's
    settings that the request equals; null if it differs from them. `preset` names what changes the
    request on its way (`webhooks.delivery.claim`), and is empty for nothing.
    """

    delivery = models.OneToOneField(Delivery, models.CASCADE, primary_key=True)
    repeats = models.ForeignKey(Delivery, models.SET_NULL, null=True, related_name="resends")
    number = models.IntegerField()
    changed = models.BooleanField()
    revision = models.IntegerField(null=True)
    url = models.CharField(max_length=4096)
    method = models.CharField(max_length=4)
    headers = EncryptedJSONField(default=dict)
    payload = models.TextField()
    body = models.TextField(blank=True)
    preset = models.CharField(max_length=32, blank=True, default="")

    def __str__(self) -> str:
        return f"delivery {self.delivery_id}, a resend of delivery {self.repeats_id}"


class Attempt(models.Model):
    """One HTTP request of a delivery. `claims` is the content of the token, which is not stored."""

    SUCCESS, FAILURE, UNKNOWN = states.OUTCOMES
    OUTCOMES = [(o, o) for o in states.OUTCOMES]

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="attempt_set", db_index=False)
    # The unique index of delivery and number begins with it.
    delivery = models.ForeignKey(
        Delivery, models.CASCADE, related_name="attempt_set", db_index=False
    )
    number = models.IntegerField()
    outcome = models.CharField(max_length=7, choices=OUTCOMES)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    duration = models.IntegerField("duration (ms)")
    method = models.CharField(max_length=4)
    url = models.CharField(max_length=4096)
    request_headers = EncryptedJSONField(default=dict)
    request_body = models.TextField(blank=True)
    claims = models.JSONField(default=dict)
    status_code = models.IntegerField(null=True)
    response_headers = models.JSONField(default=list)
    response_body = models.BinaryField(default=b"")
    truncated = models.BooleanField(default=False)
    # Whether a secret that somebody repeated was replaced before this was stored.
    redacted = models.BooleanField(default=False, db_default=False)
    # The webhook's revision at the claim; null for attempts recorded before this column existed.
    revision = models.IntegerField(null=True)
    error = models.TextField(blank=True)
    why = models.TextField("next step", blank=True)
    # Whether the valid response of a validator was left out of the object.
    is_unmerged = models.BooleanField(default=False)
    # The end of the backoff when the attempt was recorded; null without a backoff.
    next_attempt_at = models.DateTimeField(null=True)
    # What changed the request on purpose: a list of names and kinds.
    faults = models.JSONField(default=list)
    # The class of its error, as in the logs: one of `webhooks.http.errors.ERROR_CLASSES`. Null for
    # a complete response, and for attempts recorded before this column existed.
    error_class = models.CharField(max_length=12, null=True, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["webhook", "-id"], name="attempt_webhook"),
            # Counts the attempts of the last hour by the index alone.
            models.Index(fields=["webhook", "finished_at", "outcome"], name="attempt_finished"),
            # With what the portal's groups by cause read, so that they read no bodies.
            models.Index(
                fields=[
                    "webhook",
                    "-id",
                    "status_code",
                    "error_class",
                    "finished_at",
                    "delivery",
                    "number",
                ],
                condition=Q(outcome="failure"),
                name="attempt_failed",
            ),
        ]
        constraints = [
            models.UniqueConstraint("delivery", "number", name="attempt_number"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of delivery {self.delivery_id}: {self.outcome}"


class ClearedBackoff(models.Model):
    """Why a backoff of a webhook ended, which explains a retry before its announced time.

    `user` cleared it, or `attempt` succeeded; `detail` names the settings that an edit changed.
    `began_at`, `until` and `failures` are those of the backoff.
    """

    EDITED, DISABLED, RECOVERED = "edited", "disabled", "recovered"
    TRIGGERED, SUCCEEDED = states.TRIGGERED, states.SUCCEEDED
    CAUSES = [(c, c) for c in (EDITED, DISABLED, RECOVERED, TRIGGERED, SUCCEEDED)]

    webhook = models.ForeignKey(
        Webhook, models.CASCADE, related_name="cleared_backoffs", db_index=False
    )
    at = models.DateTimeField()
    cause = models.CharField(max_length=9, choices=CAUSES)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    attempt = models.ForeignKey(Attempt, models.SET_NULL, null=True, related_name="+")
    detail = models.TextField(blank=True)
    began_at = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    failures = models.IntegerField()
    was_out_of_order = models.BooleanField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["webhook", "at"], name="cleared_backoff_webhook")]

    def __str__(self) -> str:
        return f"backoff of {self.webhook_id}: {self.cause}"

    @classmethod
    def of(
        cls,
        webhook_id: str,
        backoff: states.BackoffState,
        moment: datetime,
        cause: str,
        **more: Any,
    ) -> ClearedBackoff:
        """Return the row of a backoff that ended, not saved yet."""
        return cls(
            webhook_id=webhook_id,
            at=moment,
            cause=cause,
            began_at=backoff.began_at,
            until=backoff.until,
            failures=backoff.failures,
            was_out_of_order=backoff.out_of_order,
            **more,
        )
