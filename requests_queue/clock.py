"""The platform's time: the only clock of the domain, read once per transaction, claim or flush.

In a sandbox it can be moved forward (an offset in the database, so that all processes agree);
under the server profile it is the real time.
"""

from datetime import UTC, datetime, timedelta

from django.conf import settings

from requests_queue.models import Clock


def now() -> datetime:
    """Return the platform's time, aware, in UTC, with microseconds."""
    real = datetime.now(UTC)
    if not settings.SANDBOX:
        return real
    row = Clock.objects.filter(pk=1).values_list("offset", "frozen_at").first()
    if row is None:
        return real
    offset, frozen_at = row
    return frozen_at or real + offset


def shown(moment: datetime) -> datetime:
    """Return the moment as the API can show it: without microseconds, so that a client
    that filters by what it read finds the same row."""
    return moment.replace(microsecond=0)


def ceil(moment: datetime) -> datetime:
    """Return the moment, rounded up to a whole second."""
    return moment if not moment.microsecond else shown(moment) + timedelta(seconds=1)
