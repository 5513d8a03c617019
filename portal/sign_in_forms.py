"""The forms of the entrance: a name with its password, and a password of one's own."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import QueryDict

from requests_queue.catalog.models import User
from requests_queue.catalog.sign_in_limits import LimitedSignIn


class SignIn(LimitedSignIn, AuthenticationForm):
    """A name and its password; a wrong one is said of both, whether there is such a user or not."""

    error_messages = {
        "invalid_login": "This name and password don't fit each other. Both are case-sensitive."
    }

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        """Turn away service users, who act by API keys, and who is inactive, like strangers."""
        if not user.is_active or (isinstance(user, User) and user.is_service):
            raise self.get_invalid_login_error()


class _Own(SetPasswordForm):  # type: ignore[type-arg]
    """A new password, twice."""

    error_messages = {"password_mismatch": "The two passwords are not the same."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = " ".join(password_validators_help_texts())
        self.fields["new_password2"].label = "New password, once more"
        self.fields["new_password2"].help_text = ""


class _Changed(_Own, PasswordChangeForm):
    """The same, for whoever knows the old one."""

    error_messages = {**_Own.error_messages, "password_incorrect": "This is not your old password."}


def password_form(user: User, data: QueryDict | None) -> SetPasswordForm[User]:
    """Return the form of a user's new password; only who has one is asked for the old one."""
    return (_Changed if user.has_usable_password() else _Own)(user, data)
