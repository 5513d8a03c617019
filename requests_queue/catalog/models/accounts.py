"""Accounts, the people and service users in them, and API tokens."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models

from requests_queue.rows import Row


class Account(Row):
    """A company on Connect: a vendor (`VA-`) or a provider (`PA-`), which is a distributor."""

    id = models.CharField(max_length=32, primary_key=True)
    name = models.CharField(max_length=64)
    type = models.CharField(max_length=16, choices=[("vendor", "vendor"), ("provider", "provider")])
    role = models.CharField(max_length=16, default="vendor")
    brand = models.CharField(max_length=100, blank=True)
    external_id = models.CharField(max_length=100, blank=True)
    description = models.CharField(max_length=512, blank=True)
    created = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"

    @property
    def is_vendor(self) -> bool:
        """Whether this account is the vendor's side."""
        return self.type == "vendor"


class User(AbstractUser, Row):
    """A person (`UR-`), who signs in, or a service user (`SU-`), who acts by an API token."""

    uid = models.CharField(max_length=32, unique=True, verbose_name="ID")
    account = models.ForeignKey(
        Account, models.CASCADE, null=True, blank=True, related_name="users"
    )
    is_service = models.BooleanField(default=False)

    REQUIRED_FIELDS = ["email", "uid"]

    def __str__(self) -> str:
        return f"{self.name} ({self.uid})"

    @property
    def name(self) -> str:
        """The name as Connect shows it."""
        return self.get_full_name() or self.username


class ApiToken(Row):
    """The key of a service user, stored hashed: `ApiKey SU-ddd-ddd-ddd:secret`."""

    user = models.OneToOneField(User, models.CASCADE, related_name="token")
    name = models.CharField(max_length=100)
    # SHA-256: the secret is long and random, so a slow hash would only slow each call.
    digest = models.CharField(max_length=64)
    active = models.BooleanField(default=True)
    created = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} ({self.user.uid})"
