"""Which faults users of the portal may see, arm and clear.

Administrators: all. Users of an account: those of its webhooks and of its calls of the API. They
also see the faults that concern everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models import QuerySet

from portal.identity import Viewer
from requests_queue.errors import Missing
from sandbox.faults import armed
from sandbox.models import Fault
from webhooks.models import Webhook


def webhooks(viewer: Viewer) -> QuerySet[Webhook]:
    """Return the webhooks of the account that the viewer acts as."""
    return Webhook.objects.filter(account=viewer.account).order_by("label", "pk")


def visible(viewer: Viewer) -> list[tuple[Fault, bool]]:
    """Return the faults that a viewer may see, and whether they may change each."""
    rows = armed.listed()
    own = _own(viewer, rows)
    return [(row, row.pk in own) for row in rows if row.pk in own or _concerns_everybody(row)]


def linked(viewer: Viewer, rows: Iterable[Fault]) -> set[str]:
    """Return the webhooks of faults whose pages the viewer may see; at most one statement."""
    named = {row.scope["webhook"] for row in rows if "webhook" in row.scope}
    if not named:
        return set()
    return set(webhooks(viewer).filter(pk__in=named).values_list("pk", flat=True))


def find(viewer: Viewer, pk: str) -> Fault:
    """Return a fault that a viewer may change; raises Missing."""
    row = armed.get(pk)
    if row.pk not in _own(viewer, [row]):
        raise Missing(pk)
    return row


def _own(viewer: Viewer, rows: Sequence[Fault]) -> set[str]:
    """Return the ids of the faults that a viewer may change."""
    if viewer.user.is_superuser:
        return {row.pk for row in rows}
    theirs = linked(viewer, rows)
    return {
        row.pk
        for row in rows
        if row.scope.get("webhook") in theirs or row.scope.get("account") == viewer.account.pk
    }


def _concerns_everybody(row: Fault) -> bool:
    return not {"webhook", "account"} & row.scope.keys()
