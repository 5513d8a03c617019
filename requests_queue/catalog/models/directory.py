"""Hubs, marketplaces, connections, contracts and listings."""

from __future__ import annotations

from typing import Any

from django.db import models, transaction
from django.db.models import Case, F, Q, Value, When

from requests_queue.catalog.models.accounts import Account
from requests_queue.db.rows import Named

# The id that Connect shows for the connection of every preview order.
PREVIEW_CONNECTION = "CT-0000-0000-0000"


class Marketplace(Named):
    """A provider's marketplace (`MP-`)."""

    description = models.TextField(blank=True)
    owner = models.ForeignKey(Account, models.CASCADE, related_name="marketplaces")
    zone = models.CharField(max_length=2, default="EU")
    currency = models.CharField(max_length=3, default="USD")
    countries = models.JSONField(default=list)
    # What each hub calls it, by the hub's id.
    hub_external_ids = models.JSONField(default=dict, editable=False)

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the marketplace; a new one gets the agreement that its contracts are made from."""
        is_new = self._state.adding
        super().save(*args, **kwargs)
        if is_new:
            Agreement.of_marketplace(self).save(force_insert=True)


class Agreement(Named):
    """What contracts are made from (`AGP-`, `AGD-`).

    A marketplace has one distribution agreement without a name, for all of its contracts; providers
    create programs and, in them, further ones.
    """

    # Empty for the agreement of a marketplace, which `catalog.agreements.shown_name` names.
    name = models.CharField(max_length=100, blank=True)
    type = models.CharField(max_length=16)
    description = models.TextField(blank=True)
    document_type = models.CharField(max_length=16, default="none")
    auto_accept = models.BooleanField(default=False)
    owner = models.ForeignKey(Account, models.CASCADE, related_name="agreements")
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="agreements")
    marketplace = models.ForeignKey(
        Marketplace, models.CASCADE, null=True, related_name="agreements"
    )
    updated = models.DateTimeField()

    @classmethod
    def of_marketplace(cls, row: Marketplace) -> Agreement:
        """Return the unsaved agreement of a marketplace: `AGD-000-0`, the digits of `MP-ddddd`."""
        digits = row.id.removeprefix("MP-")
        return cls(
            id=f"AGD-000-0{digits[:2]}-{digits[2:]}",
            type="distribution",
            owner_id=row.owner_id,
            marketplace=row,
            created=row.created,
            updated=row.created,
        )


class Hub(Named):
    """A provider's commerce system (`HB-`)."""

    name = models.CharField(max_length=256)
    description = models.TextField(blank=True)
    company = models.ForeignKey(Account, models.CASCADE, related_name="hubs")
    instance_id = models.CharField(max_length=255, blank=True)
    instance_type = models.CharField(max_length=8, default="API")
    marketplaces = models.ManyToManyField(Marketplace, related_name="hubs")
    updated = models.DateTimeField()


class Connection(models.Model):
    """A connection (`CT-`) of a product to a hub, through which the hub orders."""

    id = models.CharField(max_length=32, primary_key=True)
    type = models.CharField(max_length=16, default="test")
    status = models.CharField(max_length=16, default="active")
    product = models.ForeignKey("catalog.Product", models.CASCADE, related_name="connections")
    provider = models.ForeignKey(Account, models.CASCADE, related_name="provided_connections")
    vendor = models.ForeignKey(Account, models.CASCADE, related_name="vended_connections")
    hub = models.ForeignKey(Hub, models.CASCADE, related_name="connections")
    created = models.DateTimeField()
    # The id in the API, which the preview connections of all products share
    # (`catalog.preview`).
    public_id = models.GeneratedField(
        expression=Case(
            When(id__startswith=PREVIEW_CONNECTION, then=Value(PREVIEW_CONNECTION)),
            default=F("id"),
        ),
        output_field=models.CharField(max_length=32),
        db_persist=True,
    )

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.id} ({self.type})"


class Contract(Named):
    """A contract of vendor and provider: for a marketplace (`CRD-`), or of a program (`CRP-`).

    Products are listed under distribution contracts only.
    """

    type = models.CharField(max_length=16, default="distribution")
    status = models.CharField(max_length=16, default="active")
    vendor = models.ForeignKey(Account, models.CASCADE, related_name="vended_contracts")
    provider = models.ForeignKey(Account, models.CASCADE, related_name="provided_contracts")
    # None for a program contract. Typed as Any, because orders and listings have one always.
    marketplace: models.ForeignKey[Any, Any] = models.ForeignKey(
        Marketplace, models.CASCADE, null=True, related_name="contracts"
    )
    # The agreement of a program contract; None for a distribution contract.
    program = models.ForeignKey(
        Agreement, models.CASCADE, null=True, editable=False, related_name="contracts"
    )
    kind = models.CharField(max_length=16, default="production", editable=False)
    # What a program contract invites the partner with.
    message = models.CharField(max_length=200, blank=True, editable=False)
    enrolled = models.DateTimeField(null=True, blank=True)
    signed = models.DateTimeField(null=True, blank=True)
    terminated = models.DateTimeField(null=True, blank=True)

    class Meta(Named.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(marketplace__isnull=False, program=None)
                | Q(marketplace=None, program__isnull=False),
                name="contract_of_marketplace_or_program",
            ),
        ]


class Listing(models.Model):
    """A product on a marketplace (`LST-`), under a contract."""

    id = models.CharField(max_length=32, primary_key=True)
    status = models.CharField(max_length=16, default="listed")
    product = models.ForeignKey("catalog.Product", models.CASCADE, related_name="listings")
    contract = models.ForeignKey(Contract, models.CASCADE, related_name="listings")
    created = models.DateTimeField()
    updated = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"
