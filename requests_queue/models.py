"""What all processes share: the platform's time, and the signs of life that they leave."""

from datetime import timedelta

from django.db import models

PROBLEM = 400  # characters of a process's problem that are kept


class Clock(models.Model):
    """How far the platform's time is from the real one (sandbox only; ours).

    `offset` is added to real time; while `frozen_at` is set, time stands still there.
    `moving_since` marks a move under way, `moving_lease` (seconds of Unix time, the
    database's own) says until when its mover is believed to be alive.
    """

    offset = models.DurationField(default=timedelta)
    frozen_at = models.DateTimeField(null=True)
    moving_lease = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"offset {self.offset}"


class Heartbeat(models.Model):
    """When a process was last seen alive, and since when it has been (ours).

    Seconds of Unix time, by the database's own clock: see `requests_queue.heartbeats`.
    """

    process = models.CharField(max_length=100, primary_key=True)
    kind = models.CharField(max_length=16)
    since = models.FloatField()
    at = models.FloatField()
    # What keeps it from its work, in words; empty while all is well.
    problem = models.CharField(max_length=PROBLEM, blank=True, db_default="")

    def __str__(self) -> str:
        return self.process


class FailedJob(models.Model):
    """A job of the platform whose last turn failed (ours); deleted when it succeeds.

    `job` is the function, `name` its app in words, `error` the type of the last error, `since` the
    first failure by the platform's time, `count` the failures since then.
    """

    job = models.CharField(max_length=200, primary_key=True)
    name = models.CharField(max_length=100)
    error = models.CharField(max_length=100)
    since = models.DateTimeField()
    count = models.IntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.job}: {self.error}"


class SignInTries(models.Model):
    """Failed tries to sign in, of a name from an address or of an address (ours).

    `key` is a keyed hash of them, `at` the last try in seconds of Unix time by the database's own
    clock: see `requests_queue.catalog.sign_in_limits`.
    """

    key = models.CharField(max_length=64, primary_key=True)
    tries = models.IntegerField()
    at = models.FloatField(db_index=True)

    class Meta:
        verbose_name_plural = "sign-in tries"

    def __str__(self) -> str:
        return f"{self.tries} tries"
