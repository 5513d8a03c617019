"""The acting account's API keys: list, create, change modules, revoke. A key is shown once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from portal import layout, pages
from portal.identity import Viewer
from requests_queue.catalog import keys
from requests_queue.catalog.models import ApiToken
from requests_queue.catalog.module_field import ModulesField
from requests_queue.errors import Invalid, Missing

MAX_KEYS = 200  # that the page lists, the newest


class KeyForm(forms.Form):
    """Name, description, last day and modules of a new key."""

    name = forms.CharField(max_length=100)
    description = forms.CharField(max_length=512, required=False)
    expires = forms.CharField(
        label="Last day",
        required=False,
        help_text="The key expires at the end of that day, UTC.",
        widget=forms.DateInput({"type": "date"}),
    )
    modules = ModulesField()

    def clean_expires(self) -> datetime | None:
        """Return when the key expires, None for never."""
        text = self.cleaned_data["expires"]
        try:
            return keys.parse_expiry(text) if text else None
        except Invalid as error:
            raise forms.ValidationError(str(error)) from None


class ModulesForm(forms.Form):
    """The modules of a key."""

    modules = ModulesField()


@layout.signed_in("GET", "POST")
def api_keys(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the account's keys, or create one and show it in this response only."""
    form = KeyForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"form": form, "created": ""}
    if form.is_bound and form.is_valid():
        values = form.cleaned_data
        key, token = keys.create(viewer.account, **values)
        viewer.record(token, "Created the API key.")
        context |= {"form": KeyForm(), "created": f"ApiKey {key}", "token": token}
    now = timezone.now()
    rows = _keys(viewer).select_related("user").order_by("-pk")[:MAX_KEYS]
    context["rows"] = [(token, token.state(now)) for token in rows]
    status = 400 if form.is_bound and not form.is_valid() else 200
    return layout.render(request, viewer, "api_keys.html", context, status)


@layout.signed_in("GET", "POST")
def revoke(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Ask for confirmation, or revoke a key of the account."""
    token = _key(viewer, pk)
    if request.method != "POST":
        return layout.render(request, viewer, "api_key_revoke.html", {"token": token})
    if keys.revoke(pk, viewer.account):
        viewer.record(token, "Revoked the API key.")
        messages.success(request, f"Revoked {token.name} ({pk}).")
    return pages.see_other(reverse("api-keys"))


@layout.signed_in("GET", "POST")
def modules(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the modules of a key of the account, or change them; 404 for a key that isn't active."""
    token = _key(viewer, pk)
    if not token.active:
        raise Missing(pk)
    form = ModulesForm(
        request.POST if request.method == "POST" else None, initial={"modules": token.modules}
    )
    if request.method == "POST" and form.is_valid():
        keys.set_modules(token, form.cleaned_data["modules"])
        viewer.record(token, "Changed the modules of the API key.")
        messages.success(request, f"Changed the modules of {token.name} ({pk}).")
        return pages.see_other(reverse("api-keys"))
    status = 400 if request.method == "POST" else 200
    context = {"form": form, "token": token}
    return layout.render(request, viewer, "api_key_modules.html", context, status)


def _key(viewer: Viewer, pk: str) -> ApiToken:
    """Return a key of the account by its service user; raises Missing."""
    token = _keys(viewer).select_related("user").filter(user__uid=pk).first()
    if token is None:
        raise Missing(pk)
    return token


def _keys(viewer: Viewer) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(user__account=viewer.account)
