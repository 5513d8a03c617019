"""Sign-in by a link that works once, sign-in by password, and the forms of both passwords."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.password_validation import password_validators_help_texts
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.http import QueryDict
from django.utils import timezone

from requests_queue.catalog import audit
from requests_queue.catalog.models import User
from requests_queue.catalog.sign_in_limits import LimitedSignIn
from requests_queue.db import sql

_LOCK = 5_731_905_022  # the advisory lock of the first administrator's creation


class _LinkTokens(PasswordResetTokenGenerator):
    """Tokens that depend on the last sign-in, so that any sign-in invalidates older links."""

    key_salt = "portal.signin.link"


_tokens = _LinkTokens()


def link(user: User) -> str:
    """Return the path of a new link for the user."""
    return f"/sign-in/{user.uid}/{_tokens.make_token(user)}"


def redeem(uid: str, token: str) -> User | None:
    """Return the user of an unused link and invalidate it; None for any other link."""
    user = User.objects.filter(uid=uid, is_active=True, is_service=False).first()
    if user is None or not _tokens.check_token(user, token):
        return None
    # Two requests may race: the first UPDATE changes the row that the second one filters by.
    is_first = User.objects.filter(pk=user.pk, last_login=user.last_login).update(
        last_login=timezone.now()
    )
    return user if is_first else None


def has_administrator() -> bool:
    """Return whether somebody can administer this server."""
    return User.objects.filter(is_superuser=True, is_active=True, is_service=False).exists()


def create_first_administrator(username: str, email: str = "") -> User | None:
    """Create an administrator without a password; None if there is one already.

    Raises ValidationError if the name is taken or invalid.
    """
    with transaction.atomic():
        # Of two concurrent calls, the second one finds the administrator of the first.
        sql.advisory_lock(_LOCK)
        if has_administrator():
            return None
        user = User(username=username, email=email, is_staff=True, is_superuser=True)
        user.set_unusable_password()
        user.full_clean(exclude=["password", "uid"])
        user.save()
        audit.record(audit.Action.USER_CREATE, "user", user.uid)
    return user


class SignInForm(LimitedSignIn, AuthenticationForm):
    """User name and password; the error is the same whether or not the user exists."""

    error_messages = {
        "invalid_login": "The user name or password is incorrect. Both are case-sensitive."
    }

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        """Refuse inactive users, and service users, who use API keys."""
        if not user.is_active or (isinstance(user, User) and user.is_service):
            raise self.get_invalid_login_error()


class _SetPassword(SetPasswordForm):  # type: ignore[type-arg]
    """A new password, entered twice."""

    error_messages = {"password_mismatch": "The two passwords do not match."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = " ".join(password_validators_help_texts())
        self.fields["new_password2"].label = "Repeat new password"
        self.fields["new_password2"].help_text = ""


class _ChangePassword(_SetPassword, PasswordChangeForm):
    """A new password, confirmed by the old one."""

    error_messages = {
        **_SetPassword.error_messages,
        "password_incorrect": "The old password is incorrect.",
    }


def password_form(user: User, data: QueryDict | None) -> SetPasswordForm[User]:
    """Return the password form; it asks for the old password if the user has one."""
    return (_ChangePassword if user.has_usable_password() else _SetPassword)(user, data)
