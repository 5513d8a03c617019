"""Accounts, their users, and API tokens."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Concat, NullIf, Trim

from requests_queue.rows import Named, Row


class Account(Named):
    """A company on Connect: a vendor (`VA-`) or a provider (`PA-`), which is a distributor."""

    name = models.CharField(max_length=64)
    type = models.CharField(max_length=16, choices=[("vendor", "vendor"), ("provider", "provider")])
    role = models.CharField(max_length=16, default="vendor")
    brand = models.CharField(max_length=100, blank=True)
    external_id = models.CharField(max_length=100, blank=True)
    description = models.CharField(max_length=512, blank=True)

    @property
    def is_vendor(self) -> bool:
        """Whether the account is a vendor."""
        return self.type == "vendor"


class User(AbstractUser, Row):
    """A person (`UR-`), who signs in, or a service user (`SU-`), who has an API token."""

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


def name_by(route: str = "") -> Coalesce:
    """Return `User.name` as an expression; `route` leads to the user, `assignee__`."""
    full = Trim(Concat(f"{route}first_name", Value(" "), f"{route}last_name"))
    username = F(f"{route}username")
    return Coalesce(NullIf(full, Value("")), username, output_field=models.TextField())


class ApiToken(Row):
    """The hashed API key of a service user: `ApiKey SU-ddd-ddd-ddd:secret`."""

    user = models.OneToOneField(User, models.CASCADE, related_name="token")
    name = models.CharField(max_length=100)
    # SHA-256: the secret is long and random; a slow hash would only slow down requests.
    digest = models.CharField(max_length=64)
    active = models.BooleanField(default=True)
    created = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} ({self.user.uid})"
