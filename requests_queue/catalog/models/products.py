"""Products with their items, parameters, configured values, templates, media and actions."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models.functions import Coalesce

from requests_queue.catalog.models.accounts import Account
from requests_queue.catalog.models.directory import Marketplace
from requests_queue.db import encryption
from requests_queue.db.rows import Named


def new_secret() -> str:
    """Return a random secret for the tokens of a product's actions, in Connect's form."""
    return f"JWT-{uuid.uuid4()}"


def new_stored_secret() -> str:
    """Return a random secret, encrypted."""
    return encryption.encrypt(new_secret())


class Product(Named):
    """A product (`PRD-`) of a vendor; `capabilities` as in `GET /products/{id}`.

    `version` is the number of its newest version, 0 while it has none.
    """

    owner = models.ForeignKey(Account, models.CASCADE, related_name="products")
    status = models.CharField(max_length=16, default="published")
    external_id = models.CharField(max_length=128, blank=True)
    version = models.IntegerField(default=1)
    category = models.JSONField(default=dict)
    short_description = models.TextField(blank=True)
    detailed_description = models.TextField(blank=True)
    capabilities = models.JSONField(default=dict)
    customer_ui_settings = models.JSONField(default=dict)
    purchase_model = models.CharField(max_length=64, blank=True)
    replacement = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="replaces"
    )
    end_of_sale_notes = models.TextField(blank=True)
    updated = models.DateTimeField()
    published = models.DateTimeField(null=True)
    # Encrypted; only `catalog.action_links` decrypts it, because lists read many products.
    stored_action_secret = encryption.CiphertextField(editable=False, default=new_stored_secret)

    def capability(self, path: str) -> Any:
        """Return the capability at a dotted path, `subscription.hold`, or None if it is off."""
        value: Any = self.capabilities
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
            # A branch may have a switch with its own name: `ppu.ppu`, `tiers.configs.configs`.
            if isinstance(value, dict) and value.get(key) is False:
                return None
        return value


class Item(Named):
    """An item of a product; `id` is the global id (`PRD-ddd-ddd-ddd-dddd`)."""

    id = models.CharField(max_length=40, primary_key=True)
    local_id = models.CharField(max_length=64)
    mpn = models.CharField(max_length=128)
    product = models.ForeignKey(Product, models.CASCADE, related_name="items")
    description = models.TextField(blank=True)
    status = models.CharField(max_length=16, default="published")
    type = models.CharField(max_length=16, default="Reservation")
    period = models.CharField(max_length=16, default="Monthly")
    precision = models.CharField(max_length=16, default="Integer")
    unit = models.JSONField(default=dict)
    commitment = models.IntegerField(default=1)
    dynamic = models.BooleanField(default=False)
    external_id = models.CharField(max_length=128, blank=True)
    visible = models.BooleanField(default=True)
    position = models.IntegerField(default=0)
    replacement = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="replaces"
    )
    end_of_sale_notes = models.TextField(blank=True)
    updated = models.DateTimeField()
    sale_ended = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint("product", "local_id", name="item_local_id"),
            models.UniqueConstraint("product", "mpn", name="item_mpn"),
        ]


class Parameter(models.Model):
    """A parameter of a product.

    Assets and requests use its `name`, unique in the product, as id; the product's list has a
    `PRM-` id, too, which ends in `number`.
    """

    product = models.ForeignKey(Product, models.CASCADE, related_name="parameters")
    number = models.BigIntegerField()
    name = models.CharField(max_length=100)
    title = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    type = models.CharField(max_length=16)
    scope = models.CharField(max_length=24)
    phase = models.CharField(max_length=16)
    hint = models.CharField(max_length=255, blank=True)
    placeholder = models.CharField(max_length=255, blank=True)
    default = models.JSONField(null=True, blank=True)
    constraints = models.JSONField(default=dict)
    position = models.IntegerField(default=0)
    created = models.DateTimeField()
    updated = models.DateTimeField()

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint("product", "name", name="parameter_name"),
            models.UniqueConstraint("product", "number", name="parameter_number"),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.name})"


class Template(Named):
    """A Markdown text for customers and resellers (`TL-`), by scope and type."""

    product = models.ForeignKey(Product, models.CASCADE, related_name="templates")
    title = models.CharField(max_length=255, blank=True)
    body = models.TextField(blank=True)
    scope = models.CharField(max_length=8, default="asset")
    type = models.CharField(max_length=16, null=True, blank=True)
    position = models.IntegerField(default=0)
    updated = models.DateTimeField()

    class Meta:
        ordering = ["position", "id"]


class ProductMedia(models.Model):
    """A picture or a video (`PRDM-`) of a product; the content of a video is its thumbnail.

    `revision` counts the changes of the content.
    """

    id = models.CharField(max_length=40, primary_key=True)
    product = models.ForeignKey(Product, models.CASCADE, related_name="media")
    position = models.IntegerField()
    type = models.CharField(max_length=8)
    url = models.CharField(max_length=2000, blank=True)
    content = models.BinaryField()
    content_type = models.CharField(max_length=32)
    revision = models.IntegerField(default=0)
    created = models.DateTimeField()
    updated = models.DateTimeField()

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint("product", "position", name="media_position")]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class Configuration(models.Model):
    """The value of a configuration parameter, for a product, an item or a marketplace."""

    product = models.ForeignKey(Product, models.CASCADE, related_name="configurations")
    parameter = models.ForeignKey(Parameter, models.CASCADE, related_name="values")
    item = models.ForeignKey(
        Item, models.CASCADE, null=True, blank=True, related_name="configurations"
    )
    marketplace = models.ForeignKey(
        Marketplace, models.CASCADE, null=True, blank=True, related_name="configurations"
    )
    value = models.TextField(null=True, blank=True)
    structured_value = models.JSONField(null=True, blank=True)
    created = models.DateTimeField()
    updated = models.DateTimeField()

    class Meta:
        ordering = ["product", "pk"]
        constraints = [
            models.UniqueConstraint(
                "parameter",
                Coalesce("item", models.Value("")),
                Coalesce("marketplace", models.Value("")),
                name="configuration_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.parameter.name} of {self.product_id}"


class ProductAction(Named):
    """A product action (`ACT-`): a button on the pages of a subscription."""

    id = models.CharField(max_length=40, primary_key=True)
    product = models.ForeignKey(Product, models.CASCADE, related_name="actions")
    action = models.CharField(max_length=100)
    name = models.CharField(max_length=100)
    title = models.CharField(max_length=255, blank=True)
    description = models.CharField(max_length=300, blank=True)
    # The target of its links; empty: a page of the portal that shows the token.
    url = models.CharField(max_length=2000, blank=True)
    type = models.CharField(max_length=16, default="button")
    scope = models.CharField(max_length=8, default="asset")
    updated = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint("product", "action", name="product_action_once")]


class ProductVersion(models.Model):
    """A published version of a product: `content` is the product when the version was created.

    Its parts are rows of `VersionPart`. Only who may read it changes, and its description.
    """

    product = models.ForeignKey(Product, models.CASCADE, related_name="versions")
    number = models.IntegerField()
    changes_description = models.TextField(blank=True)
    public = models.BooleanField(default=False)
    staging = models.BooleanField(default=False)
    content = models.JSONField(default=dict)
    created = models.DateTimeField()
    updated = models.DateTimeField()

    class Meta:
        ordering = ["product", "-number"]
        constraints = [
            models.UniqueConstraint("product", "number", name="product_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.product_id} version {self.number}"


class VersionPart(models.Model):
    """An item, parameter, template or action of a version; `data` is its JSON in the API."""

    version = models.ForeignKey(ProductVersion, models.CASCADE, related_name="parts")
    # The last part of the path of its list: `items`.
    kind = models.CharField(max_length=16)
    key = models.CharField(max_length=40)
    position = models.IntegerField()
    data = models.JSONField(default=dict)
    # The moments in `data`, to filter by.
    created = models.DateTimeField()
    updated = models.DateTimeField()
    sale_ended = models.DateTimeField(null=True)

    class Meta:
        ordering = ["version", "position", "pk"]
        constraints = [
            models.UniqueConstraint("version", "kind", "key", name="version_part_once"),
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.version}"
