"""Tier accounts (customers and resellers), their versions, and subscriptions."""

from __future__ import annotations

from django.db import models

from requests_queue.catalog.models.accounts import Account
from requests_queue.catalog.models.directory import (
    Connection,
    Contract,
    Hub,
    Marketplace,
)
from requests_queue.catalog.models.products import Product, Template


class TierAccountData(models.Model):
    """The fields that a tier account and its versions share."""

    version = models.IntegerField(default=1)
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=16, default="customer")
    external_id = models.CharField(max_length=255, blank=True)
    external_uid = models.CharField(max_length=255, blank=True)
    tax_id = models.CharField(max_length=100, blank=True)
    environment = models.CharField(max_length=16, default="test")
    contact_info = models.JSONField(default=dict)
    created = models.DateTimeField()
    updated = models.DateTimeField()
    decommissioned = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class TierAccount(TierAccountData):
    """A customer or reseller (`TA-`), owned by the provider of its hub."""

    id = models.CharField(max_length=32, primary_key=True)
    parent = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="children"
    )
    owner = models.ForeignKey(Account, models.CASCADE, related_name="tier_accounts")
    hub = models.ForeignKey(Hub, models.CASCADE, null=True, related_name="tier_accounts")

    class Meta:
        ordering = ["-created", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "external_uid"],
                condition=~models.Q(external_uid=""),
                name="tier_account_uid",
            )
        ]
        indexes = [
            # A vendor's count of them reads this index alone.
            models.Index(fields=["-created", "id", "decommissioned"], name="tier_account_listed"),
            models.Index(fields=["external_id"], name="tier_account_external_id"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class TierAccountVersion(TierAccountData):
    """A former or the current version of a tier account.

    Changes store versions; the only version of an unchanged account is the account itself.
    """

    account = models.ForeignKey(TierAccount, models.CASCADE, related_name="versions")
    parent = models.ForeignKey(
        TierAccount, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    hub = models.ForeignKey(Hub, models.CASCADE, null=True, related_name="+")

    class Meta:
        ordering = ["account", "-version"]
        constraints = [
            models.UniqueConstraint("account", "version", name="tier_account_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.account_id} version {self.version}"


class Asset(models.Model):
    """A subscription (`AS-`). `items` and `params` are lists as the API shows them."""

    id = models.CharField(max_length=32, primary_key=True)
    status = models.CharField(max_length=16, default="processing")
    external_id = models.CharField(max_length=100, blank=True)
    external_uid = models.CharField(max_length=100, blank=True)
    product = models.ForeignKey(Product, models.CASCADE, related_name="assets")
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="assets")
    marketplace = models.ForeignKey(Marketplace, models.CASCADE, related_name="assets")
    contract = models.ForeignKey(Contract, models.CASCADE, related_name="assets")
    customer = models.ForeignKey(TierAccount, models.RESTRICT, related_name="customer_assets")
    tier1 = models.ForeignKey(TierAccount, models.RESTRICT, related_name="tier1_assets")
    tier2 = models.ForeignKey(
        TierAccount, models.RESTRICT, null=True, blank=True, related_name="tier2_assets"
    )
    items = models.JSONField(default=list)
    params = models.JSONField(default=list)
    template = models.ForeignKey(Template, models.SET_NULL, null=True, blank=True)
    created = models.DateTimeField()
    updated = models.DateTimeField()

    class Meta:
        ordering = ["-created", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "external_uid"],
                condition=~models.Q(external_uid=""),
                name="asset_external_uid",
            )
        ]
        indexes = [
            models.Index(fields=["product", "status"], name="asset_product_status"),
            # Lists are ordered by creation, newest first; the connection has the parties.
            models.Index(
                fields=["-created", "id", "connection", "product", "status"], name="asset_dated"
            ),
        ]

    def __str__(self) -> str:
        return self.id
