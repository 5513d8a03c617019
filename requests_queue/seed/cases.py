"""Helpdesk cases in every state: of the distributor about products, and of the vendor."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from requests_queue.catalog.models import Account, Product, User
from requests_queue.queues.helpdesk.models import STATES, Attachment, Case
from requests_queue.seed.accounts import DISTRIBUTOR_USER, PROVIDER, VENDOR, VENDOR_USER
from requests_queue.seed.products import BACKUP, SUITE
from requests_queue.seed.rows import add_missing, moment


@dataclass(frozen=True, slots=True)
class _Row:
    """A case: who opened it, and its states, each with the days before the first seed."""

    id: str
    by_vendor: bool
    type: str
    priority: int
    product: str | None
    subject: str
    description: str
    states: dict[str, float]
    more: dict[str, Any] = field(default_factory=dict)


_ROWS = (
    _Row(
        "CA-731-204-551",
        False,
        "technical",
        3,
        BACKUP,
        "Backups of one customer fail at night",
        "The attached log has the errors of the last three nights.",
        {"pending": 0.2},
    ),
    _Row(
        "CA-731-204-552",
        False,
        "technical",
        1,
        SUITE,
        "Provisioning takes longer than a day",
        "The order of Marlow Dental has been pending since Monday. Is something missing?",
        {"pending": 4, "inquiring": 3},
    ),
    _Row(
        "CA-731-204-553",
        True,
        "business",
        0,
        None,
        "Contact for the yearly review",
        "Whom can we invite to the review of our contract in December?",
        {"pending": 9, "resolved": 2},
    ),
    _Row(
        "CA-731-204-554",
        False,
        "technical",
        2,
        BACKUP,
        "Region is missing in the order form",
        "Customers in Norway can't choose a region near to them.",
        {"pending": 60, "inquiring": 59, "resolved": 55, "closed": 54},
        {"rating": 5, "feedback": "Solved within a week, thank you."},
    ),
)
_LOG = b"02:10:03 ERROR quota exceeded\n02:10:04 ERROR quota exceeded\n02:10:09 ERROR giving up\n"
_ATTACHED = "CA-731-204-551"


def add_cases(at: datetime) -> dict[str, int]:
    """Add the cases of vendor and distributor, and the attachment of one."""
    products = set(Product.objects.values_list("pk", flat=True))
    people = {u.uid: u for u in User.objects.filter(uid__in=(VENDOR_USER, DISTRIBUTOR_USER))}
    if Account.objects.filter(pk__in=(VENDOR, PROVIDER)).count() < 2:
        return {"cases": 0, "attachments": 0}
    users = {VENDOR: people.get(VENDOR_USER), PROVIDER: people.get(DISTRIBUTOR_USER)}
    rows = [
        _case(row, users, at) for row in _ROWS if row.product is None or row.product in products
    ]
    added = {"cases": add_missing(rows)}
    case = Case.objects.filter(pk=_ATTACHED).first()
    attachments = [] if case is None else [_attachment(case)]
    return added | {"attachments": add_missing(attachments)}


def _case(row: _Row, users: dict[str, User | None], at: datetime) -> Case:
    issuer, receiver = (VENDOR, PROVIDER) if row.by_vendor else (PROVIDER, VENDOR)
    columns: dict[str, Any] = dict(row.more)
    for state in STATES:
        if state in row.states:
            columns[f"{state}_at"] = moment(at, -row.states[state])
            is_issuers = state in ("pending", "closed")
            columns[f"{state}_by"] = users[issuer if is_issuers else receiver]
    status = list(row.states)[-1]
    return Case(
        id=row.id,
        status=status,
        type=row.type,
        priority=row.priority,
        product_id=row.product,
        vendor_id=VENDOR,
        provider_id=PROVIDER,
        issuer_id=issuer,
        receiver_id=receiver,
        subject=row.subject,
        description=row.description,
        issuer_agent=users[issuer],
        assignee=None if status == "pending" else users[receiver],
        created=columns["pending_at"],
        created_by=users[issuer],
        updated=columns[f"{status}_at"],
        updated_by=columns[f"{status}_by"],
        **columns,
    )


def _attachment(case: Case) -> Attachment:
    return Attachment(
        id="CAAT-731-204-551",
        case=case,
        account_id=case.issuer_id,
        name="backup.log",
        type="text/plain",
        size=len(_LOG),
        content=_LOG,
        created=case.created,
        created_by=case.created_by,
    )
