"""A provider's POST, PUT and DELETE of a hub."""

from __future__ import annotations

from django.db import transaction

from requests_queue.api.fields import AnyCaseChoice, Input, String, Text, Values
from requests_queue.catalog.models import Account, Connection, Hub, TierAccount
from requests_queue.catalog.writes.products import create_row, save
from requests_queue.db.rows import get_row
from requests_queue.errors import ActionNotAllowed

TYPES = ("OA", "API")


class InstanceInput(Input):
    """The commerce system behind a hub, as a hub shows it."""

    id = String(255)
    type = AnyCaseChoice(TYPES, allow_null=True)


class HubInput(Input):
    """What can be written of a hub; its commerce system in either form."""

    texts = {"description": 2000, "instance_id": 255}
    name = Text(256, required=True)
    instance_type = AnyCaseChoice(TYPES, allow_null=True)
    instance = InstanceInput(allow_null=True)

    def validate(self, attrs: Values) -> Values:
        nested = {f"instance_{name}": value for name, value in attrs.pop("instance", {}).items()}
        return nested | attrs


def create(values: Values, account: Account) -> Hub:
    """Create a hub of `HubInput`."""
    return create_row(Hub, "hub", company=account, **values)


@transaction.atomic
def update(pk: str, values: Values, account: Account) -> None:
    """Change what the values name; raises Missing."""
    save(_lock(pk, account), values)


@transaction.atomic
def delete(pk: str, account: Account) -> None:
    """Delete a hub that nothing has come from; raises ActionNotAllowed, Missing."""
    row = _lock(pk, account)
    for kind, title in ((Connection, "connections"), (TierAccount, "tier accounts")):
        if kind._default_manager.filter(hub=row).exists():
            raise ActionNotAllowed(f"{pk} has {title}: a hub that is in use is not deleted.")
    row.delete()


def _lock(pk: str, account: Account) -> Hub:
    return get_row(Hub.objects.select_for_update().filter(company=account), pk)
