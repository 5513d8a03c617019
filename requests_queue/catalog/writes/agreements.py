"""A provider's POST of a program agreement, and of a distribution agreement in it."""

from __future__ import annotations

from django.db import transaction

from requests_queue.api.fields import Boolean, Choice, Input, Reference, Values
from requests_queue.catalog.models import Account, Agreement, Marketplace
from requests_queue.catalog.writes.products import create_row
from requests_queue.db.rows import get_named
from requests_queue.errors import Invalid

PROGRAM, DISTRIBUTION = "program", "distribution"


class AgreementInput(Input):
    """A new program; `title` and `name` are the same."""

    texts = {"title": 100, "name": 100, "description": 20_000}
    type = Choice((PROGRAM,))
    document_type = Choice(("external", "uploaded", "none"))
    auto_accept = Boolean()

    def validate(self, attrs: Values) -> Values:
        """Return the columns; raises Invalid without a title."""
        title, name = attrs.pop("title", ""), attrs.pop("name", "")
        attrs["name"] = title.strip() or name.strip()
        if not attrs["name"]:
            raise Invalid("title", "This field is required.", "required")
        return attrs


class DistributionAgreementInput(AgreementInput):
    """A new agreement in a program, for a marketplace."""

    type = Choice((DISTRIBUTION,))
    marketplace = Reference(required=True)


def create(values: Values, account: Account) -> Agreement:
    """Create a program agreement of `AgreementInput`; raises Invalid."""
    return _create(PROGRAM, values, account)


@transaction.atomic
def create_in(program: Agreement, values: Values, account: Account) -> Agreement:
    """Create a distribution agreement of `DistributionAgreementInput`; raises Invalid."""
    own = Marketplace.objects.filter(owner=account).select_for_update(no_key=True)
    place = get_named(own, values.pop("marketplace"), "marketplace.id", "Marketplace")
    if program.type != PROGRAM:
        raise Invalid("type", f"{program.pk} is no program: it has no agreements.")
    return _create(DISTRIBUTION, values, account, parent=program, marketplace=place)


def _create(kind: str, values: Values, account: Account, **columns: object) -> Agreement:
    return create_row(Agreement, kind, **{**values, **columns, "type": kind, "owner": account})
