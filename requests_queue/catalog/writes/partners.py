"""How a provider gets a new vendor: a program contract, the vendor's account, and its first key."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from requests_queue import clock, ids
from requests_queue.api.fields import Choice, Date, Id, Input, List, Reference, Text, Values
from requests_queue.catalog import audit, keys
from requests_queue.catalog.models import Account, Agreement, ApiToken, Contract, User
from requests_queue.catalog.writes import contracts
from requests_queue.catalog.writes.agreements import PROGRAM
from requests_queue.db.rows import get_named, update_columns
from requests_queue.errors import Invalid


class PartnerInput(Input):
    """The new vendor of a contract."""

    id = Id()
    name = Text(64, required=True)

    def validate(self, attrs: Values) -> Values:
        """Return the name; raises Invalid for an account that exists."""
        if attrs.pop("id", None) is not None:
            raise Invalid("partner.id", "Only contracts of new partners are created: give a name.")
        return attrs


class ActivationInput(Input):
    """What the partner is invited with."""

    message = Text(200, required=True)


class ProgramContractInput(Input):
    """A new contract of a program."""

    kind = Choice(("production", "test"))
    partner = PartnerInput(required=True)
    activation = ActivationInput(required=True)


class AccountInput(Input):
    """The account of a contract's partner, by the contract's code."""

    texts = {"description": 512, "external_id": 100}
    name = Text(64, required=True)
    id = Id()
    code = Id()
    contract_id = Id()
    users = List(Reference(required=True))


class ContextInput(Input):
    """The account for which a key creates keys."""

    account = Reference(required=True)


class ExtensionInput(Input):
    """What a key is for."""

    texts = {"name": 50}
    id = Id()


class TokenInput(Input):
    """A new key."""

    texts = {"description": 255}
    name = Text(100, required=True)
    extension = ExtensionInput(required=True)
    owner = Reference()
    expiration_date = Date()


@transaction.atomic
def create_contract(program: Agreement, values: Values) -> Contract:
    """Create the account of a new vendor and its pending contract of `ProgramContractInput`."""
    if program.type != PROGRAM:
        raise Invalid("agreement", f"{program.pk} is no program: its contracts aren't created.")
    now = clock.shown(clock.now())
    name = values["partner"]["name"]
    vendor = ids.create(Account(name=name, type="vendor", role="vendor", created=now), "vendor")
    return ids.create(
        Contract(
            name=f"Contract of {program.name}",
            type=PROGRAM,
            status="pending",
            kind=values.get("kind", "production"),
            vendor=vendor,
            provider_id=program.owner_id,
            program=program,
            message=values["activation"]["message"],
            created=now,
        ),
        "program_contract",
    )


@transaction.atomic
def activate_account(values: Values, provider: Account) -> Account:
    """Sign a pending contract of the provider's programs for its vendor, and set the account.

    `values` are those of `AccountInput`. Raises Invalid, or ActionNotAllowed for a contract that
    isn't pending.
    """
    rows = Contract.objects.select_related("vendor").filter(
        provider=provider, program__isnull=False
    )
    contract = get_named(rows, values.pop("code", None), "code", "Contract")
    for name, own in (("contract_id", contract.pk), ("id", contract.vendor_id)):
        if values.pop(name, None) not in (None, own):
            raise Invalid(name, f"The code is that of {own}.")
    people = User.objects.filter(account=provider, is_service=False)
    for uid in set(values.pop("users", ())).difference(people.values_list("uid", flat=True)):
        raise Invalid("users.id", f"User {uid} does not exist.", "does_not_exist")
    contracts.move(contract, "sign", contract.vendor)
    update_columns(contract.vendor, **values)
    return contract.vendor


@transaction.atomic
def set_context(token: ApiToken, own: Account, pk: str) -> Account:
    """Choose for which account a key creates keys, and return it; raises Invalid."""
    account = _in_context(own, pk)
    ApiToken.objects.filter(pk=token.pk).update(context=account.pk)
    audit.record(audit.Action.KEY_EDIT, "key", token.user.uid, account=own.pk, fields=["context"])
    return account


def create_token(token: ApiToken, own: Account, values: Values) -> tuple[str, ApiToken, Account]:
    """Create a key of `TokenInput` in a key's context; return it, its row, and its account.

    It has permission for the modules of the key that creates it, and doesn't outlive that one.
    Raises Invalid.
    """
    account = _in_context(own, token.context or own.pk)
    if values.get("owner") not in (None, account.pk):
        raise Invalid("owner.id", f"The context of this key is {account.pk}: change it first.")
    expires: datetime | None = values.get("expiration_date")
    if expires is not None and expires <= timezone.now():
        raise Invalid("expiration_date", "The expiry is in the past.")
    expires = min(filter(None, (expires, token.expires)), default=None)
    key, row = keys.create(
        account, values["name"], values.get("description", ""), expires, token.modules
    )
    return key, row, account


def _in_context(own: Account, pk: str) -> Account:
    """Return the key's own account, or a vendor of a program of its; raises Invalid."""
    if pk == own.pk:
        return own
    partners = Contract.objects.filter(provider=own, program__isnull=False, status="active")
    rows = Account.objects.filter(pk__in=partners.values("vendor"))
    return get_named(rows, pk, "account.id", "Account")
