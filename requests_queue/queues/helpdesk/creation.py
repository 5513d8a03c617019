"""Creation and changes of helpdesk cases, by the parties of an active contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import QuerySet

from requests_queue import clock, ids, topics
from requests_queue.api.fields import Choice, Digits, Input, List, Reference, Text, Values
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Contract, Product, User
from requests_queue.db.rows import get_named, get_row
from requests_queue.errors import Forbidden, Invalid
from requests_queue.queues import base, transitions
from requests_queue.queues.helpdesk.models import CLOSED, PENDING, PRIORITIES, STATES, TYPES, Case

RECIPIENTS = 50


class PartyInput(Input):
    """A party of a case: the account, the user who works on it, and who else is notified of it."""

    account = Reference(allow_null=True)
    agent = Reference(allow_null=True)
    recipients = List(Reference(required=True), max_length=RECIPIENTS)


class CaseInput(Input):
    """A case; `receiver.account` is the partner with whom it is opened."""

    subject = Text(300, required=True)
    description = Text(10_000, required=True)
    type = Choice(TYPES, required=True)
    priority = Digits(PRIORITIES[0], PRIORITIES[-1])
    product = Reference(allow_null=True)
    state = Choice(STATES)
    issuer = PartyInput(allow_null=True)
    receiver = PartyInput(required=True)


BODY = CaseInput()
CHANGES = CaseInput(partial=True)
# What only the issuer changes.
_OWN = ("subject", "description", "type", "priority")


@transitions.atomic()
def create(data: Mapping[str, Any], actor: Actor) -> Case:
    """Open the case of a `POST /helpdesk/cases` body and return it; raises Invalid, Forbidden."""
    if actor.account is None:
        raise Forbidden("A case is opened by an account.")
    values = BODY.check(data)
    if values.get("state", PENDING) != PENDING:
        raise Invalid("state", f"A case is created {PENDING}.")
    issuer = actor.account
    receiver = _partner(issuer, values["receiver"].get("account"))
    vendor, provider = (issuer, receiver) if issuer.is_vendor else (receiver, issuer)
    product = _product(values.get("product"), issuer, vendor)
    now = clock.shown(clock.now())
    case = Case(
        status=PENDING,
        product=product,
        vendor=vendor,
        provider=provider,
        issuer=issuer,
        receiver=receiver,
        issuer_agent=actor.user,
        created=now,
        created_by=actor.user,
        updated=now,
        updated_by=actor.user,
        pending_at=now,
        pending_by=actor.user,
        **{name: values[name] for name in _OWN if name in values},
    )
    columns, recipients = _own_people(case, values, actor)
    for name, value in columns.items():
        setattr(case, name, value)
    ids.create(case, "CA-ddd-ddd-ddd", insert=lambda row: transitions.add(row, actor))
    for name, people in recipients.items():
        getattr(case, name).set(people)
    return case


@transitions.atomic()
def edit(pk: str, data: Mapping[str, Any], actor: Actor) -> None:
    """Change a case by a partial body: the issuer its content, each party its people.

    What cannot be changed may be sent as it is. Raises Invalid, Forbidden, ActionNotAllowed.
    """
    assert actor.account is not None
    values = CHANGES.check(data)
    case: Case = get_row(Case.objects.select_for_update(), pk)
    if case.status == CLOSED:
        raise transitions.not_allowed(base.for_model(Case), f"{pk} is {CLOSED}.")
    if values.get("state", case.status) != case.status:
        raise Invalid("state", f"The case is {case.status}: actions change its state.")
    content: dict[str, Any] = {name: values[name] for name in _OWN if name in values}
    if "product" in values and values["product"] != case.product_id:
        content["product_id"] = values["product"]
    content = {name: value for name, value in content.items() if value != getattr(case, name)}
    if content and actor.account.pk != case.issuer_id:
        names = ", ".join(name.removesuffix("_id") for name in content)
        raise Forbidden(f"Only the account that opened the case can change its {names}.")
    if content.get("product_id"):
        _product(content["product_id"], actor.account, case.vendor)
    columns, recipients = _own_people(case, values, actor)
    now = clock.shown(clock.now())
    Case.objects.filter(pk=pk).update(**content, **columns, updated=now, updated_by=actor.user)
    for name, people in recipients.items():
        getattr(case, name).set(people)
    topics.announce_objects(case.parties(), pk)


def partners(account: Account) -> QuerySet[Account]:
    """Return the accounts that have an active contract with the account."""
    own, other = ("vendor", "provider") if account.is_vendor else ("provider", "vendor")
    contracts = Contract.objects.filter(status="active", **{own: account})
    return Account.objects.filter(pk__in=contracts.values(other))


def _partner(account: Account, pk: str | None) -> Account:
    path = "receiver.account.id"
    if pk is None:
        raise Invalid(path, "This field is required.", "required")
    partner = partners(account).filter(pk=pk).first()
    if partner is None:
        # The same for an account that doesn't exist.
        raise Invalid(path, f"{pk} is no partner with an active contract.", "does_not_exist")
    return partner


def _product(pk: str | None, account: Account, vendor: Account) -> Product | None:
    """Return the product of the vendor that the account sees, None for none; raises Invalid."""
    if pk is None:
        return None
    products = visibility.products(account).filter(owner=vendor)
    return get_named(products, pk, "product.id", "Product")


def _own_people(
    case: Case, values: Values, actor: Actor
) -> tuple[dict[str, User | None], dict[str, Sequence[User]]]:
    """Return the columns of the caller's agent, and the rows of its recipients, by a body.

    Raises Invalid for an account that is not the party, or a user who is not of the account, and
    Forbidden for other people of the other party than it has named.
    """
    columns: dict[str, User | None] = {}
    recipients: dict[str, Sequence[User]] = {}
    for side, agent, link in (
        ("issuer", "issuer_agent", "issuer_recipients"),
        ("receiver", "assignee", "receiver_recipients"),
    ):
        party = values.get(side, {})
        account: Account = getattr(case, side)
        if party.get("account") not in (None, account.pk):
            raise Invalid(f"{side}.account.id", f"The {side} of the case is {account.pk}.")
        if account != actor.account:
            _refuse_other_people(case, party, agent, link)
            continue
        if "agent" in party:
            uid = party["agent"]
            columns[agent] = uid and _user(account, uid, f"{side}.agent.id")
        if "recipients" in party:
            path = f"{side}.recipients.id"
            recipients[link] = [_user(account, uid, path) for uid in party["recipients"]]
    return columns, recipients


def _refuse_other_people(case: Case, party: Values, agent: str, link: str) -> None:
    """Raise Forbidden if a body names other people of the other party than that has named."""
    user = getattr(case, agent)
    # A case that is being created has none.
    named = {each.uid for each in getattr(case, link).all()} if case.pk else set()
    is_same = party.get("agent", user and user.uid) == (user and user.uid)
    if not is_same or set(party.get("recipients", named)) != named:
        raise Forbidden("Each account names its own agent and recipients.")


def _user(account: Account, uid: str, path: str) -> User:
    user = User.objects.filter(account=account, is_active=True, uid=uid).first()
    if user is None:
        raise Invalid(path, f"User {uid} does not exist.", "does_not_exist")
    return user
