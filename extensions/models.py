"""The models of extensions: from the service that an account develops to the runs of its tasks."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from extensions import definitions
from requests_queue.catalog.models import Account, Product
from requests_queue.db.encryption import EncryptedTextField

TYPES = PRODUCTS, HUB, MULTIACCOUNT = "products", "hub", "multiaccount"
INSTALLATION_STATUSES = INSTALLED, UNINSTALLED = "installed", "uninstalled"
# Of all environments.
LOG_LEVEL = "INFO"
# Statuses of a task, as Connect's OpenAPI document has them.
STATUSES = ("scheduled", "rescheduled", "processing", "succeeded", "failed", "retrying", "skipped")
NEW, RESCHEDULED, PROCESSING, SUCCEEDED, FAILED, RETRYING, SKIPPED = STATUSES
# Those of a task that waits to be sent, at once or at `due_at`.
WAITING = (NEW, RESCHEDULED, RETRYING)


class Extension(models.Model):
    """A service (`SRVC-`): what an account has developed.

    One of type `products` gets tasks about a vendor's products, one of type `hub` about all that a
    distributor sees, one of type `multiaccount` about what each account sees that installs it.
    """

    id = models.CharField(max_length=16, primary_key=True)
    type = models.CharField(max_length=16, choices=[(each, each) for each in TYPES])
    name = models.CharField(max_length=100)
    account = models.ForeignKey(Account, models.CASCADE, related_name="+")
    products = models.ManyToManyField(Product, related_name="+", blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class Environment(models.Model):
    """The development environment (`ENV-`) of an extension, to which its runners connect.

    `subscriptions` are the statuses by event type, and `schedulables` the methods that a runner has
    declared when it connected last.
    """

    id = models.CharField(max_length=20, primary_key=True)
    extension = models.ForeignKey(Extension, models.CASCADE, related_name="environments")
    subscriptions = models.JSONField(default=dict)
    schedulables = models.JSONField(default=list)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.id


class Variable(models.Model):
    """A variable of an environment, by name; its value is encrypted, secure or not."""

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="variables")
    name = models.CharField(max_length=100)
    value = EncryptedTextField(blank=True)
    secure = models.BooleanField(default=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "name"], name="variable_name")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def shown_id(self) -> str:
        """The identifier in the API."""
        return f"VAR-{self.environment_id.removeprefix('ENV-')}-{self.pk:04d}"


class Installation(models.Model):
    """What an account has installed (`EIN-`), or had: installed again, it is another one."""

    id = models.CharField(max_length=20, primary_key=True)
    environment = models.ForeignKey(Environment, models.CASCADE, related_name="installations")
    account = models.ForeignKey(Account, models.CASCADE, related_name="+")
    settings = models.JSONField(default=dict)
    status = models.CharField(
        max_length=16, choices=[(each, each) for each in INSTALLATION_STATUSES], default=INSTALLED
    )
    created_at = models.DateTimeField()
    uninstalled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "account"],
                condition=Q(status=INSTALLED),
                name="installation_once",
            )
        ]

    def __str__(self) -> str:
        return self.id


class Schedule(models.Model):
    """When a method of an extension is called (`EFS-`): once, or again and again.

    `trigger` is Connect's: `{"type": "onetime", "date"}` or `{"type": "recurring", "start", "unit",
    "amount", "end"}`. `next_at` is platform time; null where it is disabled or over.
    """

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="schedules")
    name = models.CharField(max_length=256)
    description = models.TextField(blank=True)
    method = models.CharField(max_length=256)
    parameter = models.JSONField(default=dict)
    trigger = models.JSONField()
    enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["next_at"], condition=Q(next_at__isnull=False), name="schedule_due"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def shown_id(self) -> str:
        """The identifier in the API."""
        return f"EFS-{self.environment_id.removeprefix('ENV-')}-{self.pk:06d}"


class Instance(models.Model):
    """A runner's process for one kind of task: of its connection, or of the last one.

    `connection` identifies the connection, null while there is none; `lost_at` is when it ended.
    """

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="instances")
    uid = models.CharField("instance", max_length=100)
    kind = models.CharField(max_length=16)
    connection = models.UUIDField(null=True)
    runner_version = models.CharField(max_length=20, blank=True)
    connected_at = models.DateTimeField()
    lost_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["environment", "uid", "kind"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "uid", "kind"], name="instance_uid")
        ]

    def __str__(self) -> str:
        return f"{self.uid} ({self.kind})"


class Task(models.Model):
    """A task: it waits to be sent, is processed by an instance, or has ended.

    `due_at` is platform time before which it isn't sent, null for at once; of one that was sent,
    when it is handed back, null for one that has arrived. `retries` is how many results in a row
    were `retry`; a lost runner is none.
    """

    # How often a claim that was made just now is sent.
    copies = 1

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="tasks")
    installation = models.ForeignKey(Installation, models.CASCADE, related_name="tasks")
    event_type = models.CharField(max_length=64)
    category = models.CharField(
        max_length=16, choices=[(each, each) for each in definitions.CATEGORIES]
    )
    object_id = models.CharField("object", max_length=40)
    data = models.JSONField(default=dict)
    status = models.CharField(max_length=16, choices=[(each, each) for each in STATUSES])
    instance = models.ForeignKey(Instance, models.SET_NULL, null=True, related_name="tasks")
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    sent = models.IntegerField(default=0)
    retries = models.IntegerField(default=0)
    retry_count = models.IntegerField(default=0)
    rescheduled_count = models.IntegerField(default=0)
    runtime_total = models.FloatField(default=0)
    output = models.TextField(blank=True)
    # What an interactive task has answered.
    response = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["environment", "category", "due_at"],
                condition=Q(status__in=WAITING),
                name="task_waiting",
            ),
            models.Index(
                fields=["instance"], condition=Q(status=PROCESSING), name="task_processing"
            ),
            models.Index(fields=["object_id"], name="task_object"),
        ]
        constraints = [
            # An object has at most one task that hasn't begun, but each caller who waits has one.
            models.UniqueConstraint(
                fields=["installation", "event_type", "object_id"],
                condition=Q(status=NEW) & ~Q(category=definitions.INTERACTIVE),
                name="task_once",
            ),
        ]

    def __str__(self) -> str:
        return self.shown_id

    @property
    def shown_id(self) -> str:
        """The identifier in the API."""
        return f"TQ-{self.environment_id.removeprefix('ENV-')}-{self.pk:06d}"


class Run(models.Model):
    """One time that a task was sent, and what came of it; `why` says what happens next."""

    task = models.ForeignKey(Task, models.CASCADE, related_name="runs")
    number = models.IntegerField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    instance = models.CharField(max_length=100)
    result = models.CharField(max_length=16, blank=True)
    message = models.TextField(blank=True)
    runtime = models.FloatField(default=0)
    why = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.task_id} {self.number}"
