"""Tables of the sandbox, and the ids of transactions by which entries are ordered."""

from __future__ import annotations

from typing import Any

from django.db import connection, models
from django.db.models import Expression, F, Q
from django.db.models.functions import Cast

from requests_queue.db.compressed_text import CompressedTextField
from requests_queue.db.sql import DatabaseTime

# Transactions of other databases of the server are left out: they write no entries, and may last
# for hours. One that has ended meanwhile, or whose database is unknown, counts.
_OLDEST = """
    WITH present AS (SELECT pg_current_snapshot() AS snapshot)
    SELECT LEAST(
        pg_snapshot_xmax(snapshot)::text::bigint,
        pg_current_xact_id_if_assigned()::text::bigint,
        (
            SELECT MIN(xid::text::bigint) FROM pg_snapshot_xip(snapshot) AS xid
            WHERE xid::text::bigint & 4294967295 NOT IN (
                SELECT backend_xid::text::bigint FROM pg_stat_activity
                WHERE datname <> current_database() AND backend_xid IS NOT NULL
            )
        )
    ) FROM present
"""


# The seconds until a row expires, whose `expires` is Unix time by the database's clock.
EXPIRES_IN = Cast(F("expires") - DatabaseTime(), models.FloatField())


class TransactionId(Expression):
    """The id of the current transaction on PostgreSQL, 0 on SQLite, which has one writer."""

    output_field = models.BigIntegerField()
    # It may be the default of a column.
    allowed_default = True

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[()]]:
        if connection.vendor == "postgresql":
            return "(pg_current_xact_id()::text::bigint)", ()
        return "0", ()


def oldest_in_progress() -> int | None:
    """Return the oldest transaction that may still write entries; None on SQLite."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST)
        oldest: int = cursor.fetchone()[0]
    return oldest


class TimelineEntry(models.Model):
    """One thing that happened in the sandbox (ours); `cursor` is transaction and id.

    `at` is platform time, `real_at` real time. Entries are read in the order of `transaction` and
    id, up to the oldest transaction in progress: on PostgreSQL a lower id may be committed later.
    `data` depends on the kind: see `timeline`. `is_open` is that of an API call until its
    response is stored.
    """

    transaction = models.BigIntegerField(db_default=TransactionId())
    kind = models.CharField(max_length=16)
    at = models.DateTimeField()
    real_at = models.DateTimeField()
    webhook_id = models.CharField(max_length=16, null=True)
    delivery_id = models.BigIntegerField(null=True)
    attempt = models.IntegerField(null=True)
    object_id = models.CharField(max_length=40, null=True)
    data = models.JSONField(default=dict)
    is_open = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["transaction", "id"]
        indexes = [
            models.Index(
                fields=["transaction", "id"], condition=Q(is_open=True), name="timeline_open"
            ),
            models.Index(fields=["transaction", "id"], name="timeline_order"),
            models.Index(
                fields=["webhook_id", "id"],
                condition=Q(webhook_id__isnull=False),
                name="timeline_webhook",
            ),
            models.Index(
                fields=["object_id", "id"],
                condition=Q(object_id__isnull=False),
                name="timeline_object",
            ),
            models.Index(
                fields=["delivery_id", "id"],
                condition=Q(delivery_id__isnull=False),
                name="timeline_delivery",
            ),
        ]
        verbose_name_plural = "timeline entries"

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"


class ApiCall(models.Model):
    """A call of `/public/v1` with an API key (ours), linked to the attempt that it belongs to.

    `started_at` is platform time, `real_started_at` real time, `duration` in milliseconds. Bodies
    are cut at `call_storage.MAX_BODY`, except of errors. `link` says how sure it is that
    the call belongs to `delivery_id` and `attempt`.
    """

    HANDLER, TEST = "handler", "test"
    ACTORS = [(a, a) for a in (HANDLER, TEST)]
    CERTAIN, LIKELY = "certain", "likely"
    LINKS = [(link, link) for link in (CERTAIN, LIKELY)]

    started_at = models.DateTimeField()
    real_started_at = models.DateTimeField()
    duration = models.FloatField("duration (ms)")
    actor = models.CharField(max_length=8, choices=ACTORS, default=HANDLER)
    # Null if the API key is unknown.
    account_id = models.CharField(max_length=32, null=True)
    key = models.CharField("service user", max_length=32, blank=True)
    method = models.CharField(max_length=10)
    path = models.TextField()
    query = models.TextField(blank=True)
    status = models.IntegerField()
    error_code = models.CharField(max_length=16, blank=True)
    request_body = CompressedTextField(blank=True)
    response_body = CompressedTextField(blank=True)
    is_truncated = models.BooleanField(default=False)
    # Whether a secret was replaced before this was stored.
    redacted = models.BooleanField(default=False, db_default=False)
    user_agent = models.CharField(max_length=200, blank=True)
    webhook_id = models.CharField(max_length=16, null=True)
    delivery_id = models.BigIntegerField(null=True)
    attempt = models.IntegerField(null=True)
    link = models.CharField(max_length=7, choices=LINKS, blank=True)
    # The names and kinds of those that fired.
    faults = models.JSONField(default=list)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["delivery_id", "attempt", "id"],
                condition=Q(delivery_id__isnull=False),
                name="api_call_attempt",
            ),
            models.Index(fields=["started_at"], name="api_call_started"),
        ]
        verbose_name = "API call"

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


class ApiCallObject(models.Model):
    """An object that an API call names, so that the calls about an object are found (ours)."""

    call = models.ForeignKey(ApiCall, models.CASCADE, related_name="named")
    object_id = models.CharField(max_length=40)

    class Meta:
        indexes = [models.Index(fields=["object_id", "call"], name="api_call_object")]

    def __str__(self) -> str:
        return f"{self.object_id} in call {self.call_id}"


class Hold(models.Model):
    """A token that keeps the clock from moving on until it is released or expires (ours).

    `expires` is Unix time by the database's clock.
    """

    id = models.CharField(max_length=40, primary_key=True)
    note = models.CharField(max_length=200, blank=True)
    expires = models.FloatField()

    def __str__(self) -> str:
        return f"hold {self.id}"


class Lease(models.Model):
    """Who uses the sandbox exclusively (ours): at most one row, whose `name` is constant.

    `expires` is Unix time by the database's clock.
    """

    name = models.CharField(max_length=16, primary_key=True, default="sandbox")
    token = models.CharField(max_length=40)
    note = models.CharField(max_length=200, blank=True)
    expires = models.FloatField()

    def __str__(self) -> str:
        return f"lease {self.note}"


class Fault(models.Model):
    """A fault that a caller has armed (ours): see `sandbox.faults`.

    `scope` has the webhook, account, method and path that it is limited to. `armed_at` is platform
    time, `expires` Unix time by the database's clock. `asked` counts the requests that matched.
    A cleared one is kept until the next reset, so that names given by us are not used again.
    """

    id = models.CharField(max_length=40, primary_key=True)
    ordinal = models.IntegerField(unique=True)
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=24)
    side = models.CharField(max_length=8)
    parameters = models.JSONField(default=dict)
    scope = models.JSONField(default=dict)
    probability = models.FloatField(null=True)
    times = models.IntegerField(null=True)
    nth = models.JSONField(null=True)
    after = models.IntegerField(default=0)
    seed = models.BigIntegerField()
    armed_at = models.DateTimeField()
    expires = models.FloatField(null=True)
    asked = models.IntegerField(default=0)
    fired = models.IntegerField(default=0)
    is_cleared = models.BooleanField(default=False)

    class Meta:
        ordering = ["ordinal"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(is_cleared=False), name="fault_name"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


class FaultOrdinal(models.Model):
    """The ordinal of a webhook, delivery or path among those that a fault has seen (ours).

    `path` is a hash of what leads to it, empty for the fault itself; `count` is how many it has
    below it, or how many requests.
    """

    fault = models.ForeignKey(Fault, models.CASCADE, related_name="ordinals")
    path = models.CharField(max_length=300)
    ordinal = models.IntegerField()
    count = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["fault", "path"], name="fault_ordinal")]

    def __str__(self) -> str:
        return f"{self.path}: {self.ordinal}"


class HeldResponse(models.Model):
    """A response that waits in a web server's process (ours); deleting the row releases it.

    `number` is that of the fault's matching request, `path` below `/public/v1`. `seen` is when the
    process was alive, Unix time by the database's clock.
    """

    fault = models.ForeignKey(Fault, models.CASCADE, related_name="held")
    number = models.IntegerField()
    method = models.CharField(max_length=10)
    path = models.TextField()
    seen = models.FloatField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Reading(models.Model):
    """An alternative that was chosen since the start (ours): see `sandbox.readings`."""

    id = models.CharField(max_length=40, primary_key=True)
    alternative = models.CharField(max_length=40)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.id}={self.alternative}"


class CheckRun(models.Model):
    """A run of checks that this sandbox has started (ours); one at a time.

    `name` is in the names of its snapshots. Times are real; after `expires`, Unix time by the
    database's clock, its process is gone. `report` is the JSON of `connect-sim check`.
    """

    RUNNING, FINISHED, FAILED, CANCELLED = "running", "finished", "failed", "cancelled"
    name = models.CharField(max_length=16, unique=True)
    account_id = models.CharField(max_length=32)
    webhook_id = models.CharField(max_length=16, db_index=True)
    webhook_label = models.CharField(max_length=100)
    started_by = models.CharField(max_length=150)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    options = models.JSONField(default=dict)
    state = models.CharField(max_length=9, default=RUNNING)
    is_cancelled = models.BooleanField("somebody wants to end it", default=False)
    expires = models.FloatField()
    progress = models.JSONField(default=dict)
    report = models.TextField(blank=True)
    exit_code = models.IntegerField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=Q(state="running"), name="one_run")
        ]

    def __str__(self) -> str:
        return f"checks of {self.webhook_id}: {self.state}"


class ProcessActivity(models.Model):
    """Which API calls of handlers a process serves now, and when the last ended (ours).

    `calls` are their numbers in the process. Unix time by the database's clock. Written only if
    there are several processes.
    """

    process = models.CharField(max_length=100, primary_key=True)
    calls = models.JSONField(default=list)
    last_end = models.FloatField(null=True)
    at = models.FloatField()

    def __str__(self) -> str:
        return f"{self.process}: {len(self.calls)} in flight"


class UsedId(models.Model):
    """An id of an object that a reset or restore removed (ours): it is never given again."""

    id = models.CharField(max_length=64, primary_key=True)

    def __str__(self) -> str:
        return self.id
