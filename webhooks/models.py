"""The rows of the emitter: Webhook, Event, Delivery, Resend, Attempt, ClearedBackoff."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from requests_queue.catalog.models import Account, Product
from webhooks import types
from webhooks.delivery import retry
from webhooks.encrypted_fields import EncryptedJSONField, EncryptedTextField


class _Existing(models.Manager["Webhook"]):
    """The webhooks that are not deleted."""

    def get_queryset(self) -> models.QuerySet[Webhook]:
        return super().get_queryset().filter(deleted_at=None)


class Webhook(models.Model):
    """A webhook (`WH-`) by Connect's names, with its backoff and its counters.

    `earliest_possible_trigger` is the end of the backoff, `gate_closed_at` when its last counted
    failure came, and `round` the failure count; all empty when healthy. The first stays set after
    its moment until a success, so what shows it goes through `webhooks.delivery.next_attempt`.
    `revision` counts the edits that make an older request say nothing about the new settings.
    `deleted_at` is set when it is deleted; its rows are then removed in steps (`removal`), and it
    last. Queries that reach a webhook by a relation (`webhook__account`) exclude it themselves.
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

    # What pruning removed from the tables below, so that the counters can still be checked.
    pruned_events = models.BigIntegerField(default=0)
    pruned_successes = models.BigIntegerField(default=0)
    pruned_failures = models.BigIntegerField(default=0)
    pruned_unknown = models.BigIntegerField(default=0)

    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = _Existing()
    with_deleted = models.Manager["Webhook"]()

    class Meta:
        ordering = ["-created_at", "id"]
        indexes = [
            models.Index(
                fields=["object_class", "product", "account"],
                condition=Q(active=True, type=types.EVENT),
                name="webhook_listening",
            ),
            # Every page asks for them.
            models.Index(
                fields=["account"],
                condition=Q(active=True, out_of_order=True),
                name="webhook_out_of_order",
            ),
            models.Index(
                fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="webhook_deleted"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.id})"


class Event(models.Model):
    """One queue change for one webhook; without an object for Trigger now."""

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="event_set")
    delivery = models.ForeignKey("Delivery", models.CASCADE, related_name="events")
    object_id = models.CharField("object", max_length=40, blank=True)
    status_from = models.CharField("from", max_length=16, blank=True)
    status_to = models.CharField("to", max_length=16, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["object_id"], name="event_object")]

    def __str__(self) -> str:
        return f"{self.object_id}: {self.change}" if self.object_id else "Trigger now"

    @property
    def change(self) -> str:
        """Return in words what happened to the object."""
        if not self.object_id:
            return "Trigger now"
        if self.status_from != self.status_to:
            return f"{self.status_from or 'created'} → {self.status_to}"
        # Nothing moved, and a queue change without a move is one of what has no status.
        return f"validated in {self.status_to}" if self.status_to else "changed"


class Delivery(models.Model):
    """What is tried again: one wake-up call that a webhook owes its handler.

    `lease` is Unix time by the database's own clock: a claim whose lease ran out is lost.
    `losses` is how many of its latest attempts in a row have lost their worker.
    """

    WAITING, CALLING, DELIVERED, FAILED, CANCELLED = retry.STATES
    STATES = [(s, s) for s in retry.STATES]

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries", db_index=False)
    state = models.CharField(max_length=9, choices=STATES, default=WAITING)
    forced = models.BooleanField("trigger now", default=False)
    created_at = models.DateTimeField()
    claim = models.UUIDField(null=True)
    lease = models.FloatField(null=True)
    started_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    # With a default of the database as well: raw SQL inserts deliveries.
    losses = models.IntegerField(default=0, db_default=0)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["webhook", "id"],
                condition=Q(state="waiting", forced=False),
                name="delivery_waiting",
            ),
            models.Index(
                fields=["id"], condition=Q(state="waiting", forced=True), name="delivery_forced"
            ),
            models.Index(
                fields=["webhook", "lease"], condition=Q(state="calling"), name="delivery_calling"
            ),
            models.Index(fields=["webhook", "-id"], name="delivery_webhook"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk} ({self.state})"


class Resend(models.Model):
    """What a delivery that is sent again says in its first call, in place of the webhook's own.

    `payload` is what the token says (text, since PostgreSQL's JSON keeps no order); `body` is what
    is sent in its place, a validator's object, and empty where that is the payload. `revision` is
    the webhook's for which the call speaks; null where it is sent otherwise than the webhook says.
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

    def __str__(self) -> str:
        return f"delivery {self.delivery_id}, again what delivery {self.repeats_id} sent"


class Attempt(models.Model):
    """One HTTP call. The secret and the token are never stored: `claims` is what was signed."""

    SUCCESS, FAILURE, UNKNOWN = retry.OUTCOMES
    OUTCOMES = [(o, o) for o in retry.OUTCOMES]

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="attempt_set", db_index=False)
    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempt_set")
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
    # The webhook's as it was called; null for attempts of before it was kept.
    revision = models.IntegerField(null=True)
    error = models.TextField(blank=True)
    why = models.TextField("what happens next, and why", blank=True)
    # The end of the backoff as it was recorded; null where the delivery was not held back.
    next_attempt_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["webhook", "-id"], name="attempt_webhook"),
            # What happened in the last hour is counted without the rows.
            models.Index(fields=["webhook", "finished_at", "outcome"], name="attempt_finished"),
        ]
        constraints = [
            models.UniqueConstraint("delivery", "number", name="attempt_number"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of delivery {self.delivery_id}: {self.outcome}"


class ClearedBackoff(models.Model):
    """What ended a backoff of a webhook, so that a retry before its announced time is explained.

    `user` did it, or `attempt` succeeded; `detail` names the settings that an edit changed.
    `began_at`, `until` and `failures` are the backoff's as it was ended.
    """

    EDITED, DISABLED, RECOVERED, TRIGGERED, SUCCEEDED = (
        "edited",
        "disabled",
        "recovered",
        "triggered",
        "succeeded",
    )
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
