"""Sign-in by a link that works once: no default password, nothing stored."""

from __future__ import annotations

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.utils import timezone

from requests_queue.catalog.models import User


class _Links(PasswordResetTokenGenerator):
    """Signed over the last sign-in, so that any sign-in makes the older links void."""

    key_salt = "portal.signin.link"


_links = _Links()


def link(user: User) -> str:
    """Return the path of a fresh link for the user."""
    return f"/sign-in/{user.uid}/{_links.make_token(user)}"


def redeem(uid: str, token: str) -> User | None:
    """Return the user whose unused link this is, and use it up; None for any other."""
    user = User.objects.filter(uid=uid, is_active=True, is_service=False).first()
    if user is None or not _links.check_token(user, token):
        return None
    # Of two that follow the link at once, the first one's UPDATE makes the other's void.
    won = User.objects.filter(pk=user.pk, last_login=user.last_login).update(
        last_login=timezone.now()
    )
    return user if won else None
