"""Creation and changes of helpdesk cases, by the parties of an active contract."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import QuerySet

from requests_queue import clock, ids, topics
from requests_queue.api.fields import Choice, Digits, Input, List, Reference, Text, Values
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Contract, Product, User
from requests_queue.db.rows import find_one, get_row
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
    product = _product(values.get("product"), vendor, provider)
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
        _product(content["product_id"], case.vendor, case.provider)
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


def products(vendor: Account, provider: Account) -> QuerySet[Product]:
    """Return the vendor's products that both parties see."""
    return visibility.products(provider).filter(owner=vendor)


def _product(pk: str | None, vendor: Account, provider: Account) -> Product | None:
    """Return the product of a case, None for none; raises Invalid unless both parties see it."""
    if pk is None:
        return None
    product = find_one(products(vendor, provider).filter(pk=pk))
    if product is None:
        # The same for a product that doesn't exist.
        why = f"{pk} is no product of {vendor.pk} that {provider.pk} sees."
        raise Invalid("product.id", why, "does_not_exist")
    return product


def _own_people(
    case: Case, values: Values, actor: Actor
) -> tuple[dict[str, User | None], dict[str, list[User]]]:
    """Return the columns of the caller's agent, and the rows of its recipients, by a body.

    Raises Invalid for an account that is not the party, or a user who is not of the account, and
    Forbidden for other people of the other party than it has named.
    """
    columns: dict[str, User | None] = {}
    recipients: dict[str, list[User]] = {}
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
            columns[agent] = _users(account, [uid], f"{side}.agent.id")[0] if uid else None
        if "recipients" in party:
            path = f"{side}.recipients.id"
            recipients[link] = _users(account, party["recipients"], path)
    return columns, recipients


def _refuse_other_people(case: Case, party: Values, agent: str, link: str) -> None:
    """Raise Forbidden if a body names other people of the other party than that has named."""
    user = getattr(case, agent)
    # A case that is being created has none.
    named = {each.uid for each in getattr(case, link).all()} if case.pk else set()
    is_same = party.get("agent", user and user.uid) == (user and user.uid)
    if not is_same or set(party.get("recipients", named)) != named:
        raise Forbidden("Each account names its own agent and recipients.")


def _users(account: Account, uids: Collection[str], path: str) -> list[User]:
    users = list(User.objects.filter(account=account, is_active=True, uid__in=uids))
    known = {user.uid for user in users}
    for uid in uids:
        if uid not in known:
            raise Invalid(path, f"User {uid} does not exist.", "does_not_exist")
    return users
