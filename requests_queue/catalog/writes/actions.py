"""A vendor's POST, PUT and DELETE of an action."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import transaction

from requests_queue.api.fields import AnyCaseChoice, Input, Text, Values
from requests_queue.catalog.models import Product, ProductAction
from requests_queue.catalog.writes import products
from requests_queue.errors import Invalid

SCOPES = ("asset", "tier1", "tier2")
_NAME = RegexValidator(
    r"^[A-Za-z0-9_-]+\Z", "Only letters, digits, dashes and underscores are allowed."
)


def _check_url(url: str) -> None:
    """Check the URL that an action's links lead to, empty for the portal's own page."""
    try:
        parts = urlsplit(url)
        plain = all(c.isprintable() and not c.isspace() for c in url)
        # Reading the port raises ValueError where it is none.
        right = plain and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if url and (not right or parts.username is not None or parts.password is not None):
        raise ValidationError("Enter a valid URL: http or https, without a user name.")


class ProductActionInput(Input):
    """What can be written of a button."""

    texts = {"title": 255, "description": 300}
    action = Text(100, required=True, validators=[_NAME])
    name = Text(100, required=True)
    scope = AnyCaseChoice(SCOPES, required=True)
    type = AnyCaseChoice(("button",))
    url = Text(2000, validators=[_check_url])


@transaction.atomic
def create(product: Product, values: Values) -> ProductAction:
    """Create an action of `ProductActionInput`; raises Invalid."""
    products.begin_change(product)
    check_free(ProductAction(product=product), values)
    return products.create_row(ProductAction, "action", product=product, **values)


@transaction.atomic
def update(product: Product, action: ProductAction, values: Values) -> None:
    """Change what the values name; raises Invalid."""
    row = products.begin_part_change(product, action)
    check_free(row, values)
    products.save(row, values)


delete = products.delete_part


def check_free(row: ProductAction, values: Values) -> None:
    """Raise Invalid if another action of the product has this id."""
    others = ProductAction.objects.filter(product=row.product).exclude(pk=row.pk)
    if "action" in values and others.filter(action=values["action"]).exists():
        raise Invalid("action", "Action with same id already exists for the product.", "unique")
