"""The portal's own commands: the pages of the navigation and of queues, and global actions."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import reverse

from portal import layout
from portal.commands import LOOKUPS, Command
from portal.identity import Viewer
from portal.palette import lookups
from portal.queues import labels
from requests_queue.queues import base


def pages(viewer: Viewer) -> Iterator[Command]:
    """Return the pages of the navigation, of each queue, and of the user."""
    for item in layout.NAVIGATION:
        yield Command(item.name, item.path)
    for queue in base.registered():
        yield Command(queue.title, reverse("queue", args=[labels.name_of(queue)]), "Queue")
    yield Command("Failing webhooks", f"{reverse('webhooks')}?status=failing")
    yield Command("API keys", reverse("api-keys"), keywords="token service user")
    yield Command("API reference", "/public/v1/docs", keywords="openapi swagger")
    if viewer.user.is_staff:
        yield Command("Admin", "/admin/", keywords="django")


def actions(viewer: Viewer) -> Iterator[Command]:
    """Return what can be done from every page."""
    yield Command("Create webhook", reverse("webhook-new"), keywords="new")
    for queue in base.registered():
        if queue.sample is not None:
            address = reverse("queue-new", args=[labels.name_of(queue)])
            yield Command("Create sample", address, labels.one_of(queue), "new request")
    for account in viewer.accounts:
        if account.pk != viewer.account.pk:
            yield Command(
                f"Act as {account.name}",
                reverse("act-as"),
                account.pk,
                "switch account",
                method="post",
                field=("account", account.pk),
            )
    has_password = viewer.user.has_usable_password()
    yield Command("Change password" if has_password else "Set a password", reverse("password"))
    yield Command("Sign out", reverse("sign-out"), keywords="log out", method="post")


def register() -> None:
    """Add the lookups of objects."""
    LOOKUPS.append(lookups.find)
