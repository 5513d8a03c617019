"""Tables that all processes share: platform time, heartbeats, failures, sign-in attempts."""

from datetime import timedelta

from django.db import models

PROBLEM = 400  # stored characters of a process's problem


class Clock(models.Model):
    """Platform time relative to real time (sandbox only; ours).

    `offset` is added to real time; while `frozen_at` is set, platform time is that moment.
    `moving_lease` is until when a process that moves the clock holds it, in Unix seconds by the
    database's clock. `generation` counts the resets and restores: it is beside the time, so that
    what reads the time sees in the same statement whether all data has been replaced.
    `replaced_at` is the real time of the last one.
    """

    offset = models.DurationField(default=timedelta)
    frozen_at = models.DateTimeField(null=True)
    moving_lease = models.FloatField(default=0)
    generation = models.BigIntegerField(default=0, db_default=0)
    replaced_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"offset {self.offset}"


class Heartbeat(models.Model):
    """The last heartbeat of a process, and when the process started (ours).

    Unix seconds by the database's clock: see `requests_queue.heartbeats`.
    """

    process = models.CharField(max_length=100, primary_key=True)
    kind = models.CharField(max_length=16)
    since = models.FloatField()
    at = models.FloatField()
    # What keeps the process from working; empty if nothing does.
    problem = models.CharField(max_length=PROBLEM, blank=True, db_default="")

    def __str__(self) -> str:
        return self.process


class FailedJob(models.Model):
    """A scheduled job whose last run failed (ours); deleted when it succeeds.

    `job` is the function, `name` the title of its app, `error` the type of the last error, `since`
    the first failure in platform time, `count` the failures since then.
    """

    job = models.CharField(max_length=200, primary_key=True)
    name = models.CharField(max_length=100)
    error = models.CharField(max_length=100)
    since = models.DateTimeField()
    count = models.IntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.job}: {self.error}"


class SignInTries(models.Model):
    """Failed sign-ins of a name from an address, or of an address (ours).

    `key` is a keyed hash of them, `at` the last attempt in Unix seconds by the database's clock:
    see `requests_queue.catalog.sign_in_limits`.
    """

    key = models.CharField(max_length=64, primary_key=True)
    tries = models.IntegerField()
    at = models.FloatField(db_index=True)

    class Meta:
        verbose_name_plural = "sign-in tries"

    def __str__(self) -> str:
        return f"{self.tries} tries"
