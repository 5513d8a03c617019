"""Accounts, their users, and API tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Concat, NullIf, Trim

from requests_queue import ids
from requests_queue.catalog.modules import ALL, all_modules
from requests_queue.db.rows import Named


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
        return self.type == "vendor"


class User(AbstractUser):
    """A person (`UR-`), who signs in, or a service user (`SU-`), who has an API token."""

    uid = models.CharField(max_length=32, unique=True, verbose_name="ID")
    account = models.ForeignKey(
        Account, models.CASCADE, null=True, blank=True, related_name="users"
    )
    is_service = models.BooleanField(default=False)

    # Whether the password was changed since the user was stored, for the audit log.
    has_new_password = False

    def __str__(self) -> str:
        return f"{self.name} ({self.uid})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the user; a person without an identifier, as from `createsuperuser`, gets one."""
        while not self.uid:
            drawn = ids.draw("user")
            if not User.objects.filter(uid=drawn).exists():
                self.uid = drawn
        # With the entry of a new password in the audit log.
        with transaction.atomic():
            super().save(*args, **kwargs)
        self.has_new_password = False

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(raw_password)
        self.has_new_password = True

    def set_unusable_password(self) -> None:
        """Take the password away, which is recorded like a new one when the user is saved."""
        super().set_unusable_password()
        self.has_new_password = True

    def check_password(self, raw_password: str | None) -> bool:
        """Return whether it is the password; an old hash of it is renewed, and not recorded."""

        def renew(raw: str) -> None:
            self.password = make_password(raw)
            self.save(update_fields=["password"])

        return check_password(raw_password, self.password, renew)

    @property
    def name(self) -> str:
        """The name as Connect shows it."""
        return self.get_full_name() or self.username


def name_by(route: str = "") -> Coalesce:
    """Return `User.name` as an expression; `route` leads to the user, `assignee__`."""
    full = Trim(Concat(f"{route}first_name", Value(" "), f"{route}last_name"))
    username = F(f"{route}username")
    return Coalesce(NullIf(full, Value("")), username, output_field=models.TextField())


class ApiToken(models.Model):
    """The hashed API key of a service user: `ApiKey SU-ddd-ddd-ddd:secret`.

    `expires` and `last_used` are real time, which the sandbox cannot move. `last_used` is written
    each minute (`key_uses`).
    """

    user = models.OneToOneField(User, models.CASCADE, related_name="token")
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=512, blank=True)
    # SHA-256: the secret is long and random; a slow hash would only slow down requests.
    digest = models.CharField(max_length=64)
    active = models.BooleanField(default=True)
    created = models.DateTimeField()
    expires = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, editable=False)
    # Names of `MODULES`, or ALL alone.
    modules = models.JSONField(default=all_modules)
    # The id of the account for which it creates keys, if not for its own (`POST /auth/context`).
    # No foreign key: a reset of the sandbox removes accounts, and clears the context of keys.
    context = models.CharField(max_length=32, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.user.uid})"

    def allows(self, module: str) -> bool:
        """Return whether the key has permission for a module."""
        return module in self.modules or ALL in self.modules

    @property
    def module_names(self) -> str:
        """The modules as people read them."""
        return "All modules" if ALL in self.modules else ", ".join(self.modules)

    def is_expired(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now

    def state(self, now: datetime) -> str:
        """Return `active`, `expired` or `revoked`."""
        if not self.active:
            return "revoked"
        return "expired" if self.is_expired(now) else "active"
