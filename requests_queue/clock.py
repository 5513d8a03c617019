"""Platform time: the only clock of the domain, read once per transaction, claim or flush.

A sandbox can move it forward by an offset in the database, which all processes share; under the
server profile it is real time.
"""

from datetime import UTC, datetime, timedelta

from django.conf import settings

from requests_queue.models import Clock


def now() -> datetime:
    """Return platform time: aware, in UTC, with microseconds."""
    real = datetime.now(UTC)
    if not settings.SANDBOX:
        return real
    row = Clock.objects.filter(pk=1).values_list("offset", "frozen_at").first()
    if row is None:
        return real
    offset, frozen_at = row
    return frozen_at or real + offset


def shown(moment: datetime) -> datetime:
    """Return the moment without microseconds, as the API shows it.

    A client that filters by a moment that it has read finds the same row.
    """
    return moment.replace(microsecond=0)


def ceil(moment: datetime) -> datetime:
    """Return the moment, rounded up to a whole second."""
    return moment if not moment.microsecond else shown(moment) + timedelta(seconds=1)
