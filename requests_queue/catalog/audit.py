"""Write the audit log: one entry in the transaction of the change that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import timedelta
from enum import StrEnum
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from requests_queue.catalog.models import AuditEntry, User

_request: ContextVar[HttpRequest | None] = ContextVar("audited_request", default=None)
_LIMITED_INTERVAL = timedelta(minutes=1)  # between two entries of limited sign-ins of an address


class Action(StrEnum):
    """What entries are about."""

    WEBHOOK_CREATE = "webhook.create"
    WEBHOOK_EDIT = "webhook.edit"
    WEBHOOK_ENABLE = "webhook.enable"
    WEBHOOK_DISABLE = "webhook.disable"
    WEBHOOK_RECOVER = "webhook.recover"
    WEBHOOK_TRIGGER = "webhook.trigger"
    WEBHOOK_DELETE = "webhook.delete"
    WEBHOOK_REVEAL = "webhook.reveal"
    DELIVERY_REVEAL = "delivery.reveal"
    DELIVERY_RESEND = "delivery.resend"
    DELIVERY_BULK_RESEND = "delivery.bulk_resend"
    QUEUE_BULK = "queue.bulk"
    CATALOG_CREATE = "catalog.create"
    CATALOG_EDIT = "catalog.edit"
    CATALOG_DELETE = "catalog.delete"
    KEY_CREATE = "key.create"
    KEY_EDIT = "key.edit"
    KEY_REVOKE = "key.revoke"
    KEY_REVEAL = "key.reveal"
    USER_CREATE = "user.create"
    USER_EDIT = "user.edit"
    USER_PASSWORD = "user.password"
    USER_DELETE = "user.delete"
    ADMIN_CREATE = "admin.create"
    ADMIN_EDIT = "admin.edit"
    ADMIN_DELETE = "admin.delete"
    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in.failed"
    SIGN_IN_LIMITED = "sign_in.limited"
    SIGN_OUT = "sign_out"


def remember_request(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Return a middleware that lets entries have the caller and the address of a request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        token = _request.set(request)
        try:
            return get_response(request)
        finally:
            _request.reset(token)

    return middleware


def record(
    action: Action,
    object_type: str = "",
    object_id: Any = "",
    *,
    account: str | None = "",
    user: User | None = None,
    fields: Iterable[str] = (),
) -> None:
    """Add an entry; `user` is the caller of the request unless it is given."""
    caller = user or getattr(_request.get(), "user", None)
    AuditEntry.objects.create(
        at=timezone.now(),
        action=action,
        object_type=object_type,
        object_id=str(object_id),
        actor=caller.uid if isinstance(caller, User) else "",
        account=account or "",
        fields=sorted(fields),
        address=_address(),
    )


def _address() -> str:
    """Return the address of the client, which the web server has from a trusted proxy."""
    request = _request.get()
    return "" if request is None else request.META.get("REMOTE_ADDR", "")[:64]


def signed_in(sender: Any, user: User, **kwargs: Any) -> None:
    """Record a sign-in (signal `user_logged_in`)."""
    record(Action.SIGN_IN, "user", user.uid, account=user.account_id, user=user)


def signed_out(sender: Any, user: User | None, **kwargs: Any) -> None:
    """Record a sign-out (signal `user_logged_out`), unless nobody was signed in."""
    if user is not None:
        record(Action.SIGN_OUT, "user", user.uid, account=user.account_id, user=user)


def sign_in_failed(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:
    """Record a failure (signal `user_login_failed`): of a user who exists, or of nobody.

    Other names are not stored, because people type passwords in that field.
    """
    name = str(credentials.get("username", ""))
    user = User.objects.filter(username=name).first() if "\0" not in name else None
    uid, account = (user.uid, user.account_id) if user else ("", "")
    record(Action.SIGN_IN_FAILED, "user", uid, account=account)


def sign_in_limited() -> None:
    """Record that an address has tried too often, at most once a minute."""
    since = timezone.now() - _LIMITED_INTERVAL
    recent = AuditEntry.objects.filter(
        action=Action.SIGN_IN_LIMITED, at__gte=since, address=_address()
    )
    if not recent.exists():
        record(Action.SIGN_IN_LIMITED)


def password_saved(sender: Any, instance: User, created: bool, **kwargs: Any) -> None:
    """Record a new password, however it was set (signal `post_save`, in its transaction)."""
    if not created and instance.has_new_password:
        record(
            Action.USER_PASSWORD,
            "user",
            instance.uid,
            account=instance.account_id,
            fields=["password"],
        )
