"""The actions of contracts: who may take them, and the status before and after."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from requests_queue import clock
from requests_queue.catalog.models import Account, Contract
from requests_queue.errors import ActionNotAllowed, Forbidden, Missing


@dataclass(frozen=True, slots=True)
class Step:
    """One move: from, to, whose (`vendor`, `provider`), and which moment it sets."""

    source: str
    target: str
    who: tuple[str, ...]
    moment: str = ""


# From CloudBlue's published state machines, of distribution and of program contracts.
STEPS = {
    "enroll": Step("enrolling", "pending", ("vendor",), "enrolled"),
    "sign": Step("pending", "active", ("provider",), "signed"),
    "reject": Step("pending", "rejected", ("provider",)),
    "refine": Step("pending", "enrolling", ("provider",)),
    "terminate": Step("active", "terminated", ("provider",), "terminated"),
}
PROGRAM_STEPS = {
    "sign": Step("pending", "active", ("vendor",), "enrolled"),
    "reject": Step("pending", "rejected", ("vendor",)),
    "terminate": STEPS["terminate"],
}


@transaction.atomic
def move(contract: Contract, name: str, account: Account) -> None:
    """Move a contract; raises Forbidden, or ActionNotAllowed in another state."""
    step = (STEPS if contract.program_id is None else PROGRAM_STEPS).get(name)
    if step is None:
        raise ActionNotAllowed(f"{contract.pk} is a program contract, which has no {name}.")
    if account.type not in step.who:
        raise Forbidden(f"A contract is moved by {name} by its {step.who[0]} only.")
    moments = {step.moment: clock.shown(clock.now())} if step.moment else {}
    rows = Contract.objects.filter(pk=contract.pk)
    if rows.filter(status=step.source).update(status=step.target, **moments):
        return
    status = rows.values_list("status", flat=True).first()
    if status is None:
        raise Missing(contract.pk)
    raise ActionNotAllowed(f"{contract.pk} is {status}: {name} is for {step.source} ones only.")
