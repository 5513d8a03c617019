"""Webhooks in the admin: create, edit, delete, trigger, enable, disable, recover, reveal.

Staff of an account see their account's webhooks, superusers all. Every write goes through
`webhooks.actions`. Secret and header values are shown only in the response to the POST that
reveals them.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from requests_queue import clock
from requests_queue.catalog.admin_access import GuardedAdmin, account_of, user_of
from requests_queue.catalog.admin_show import pairs
from requests_queue.errors import Refused
from webhooks import actions as webhook_actions
from webhooks import next_attempt
from webhooks.actions import ACTIONS, WebhookAction
from webhooks.admin import columns
from webhooks.admin.forms import GENERAL, NewWebhookForm, WebhookForm
from webhooks.admin.log import LARGE
from webhooks.delivery.request import is_short_secret
from webhooks.models import Attempt, Delivery, Event, Webhook


def _admin_action(action: WebhookAction) -> Any:
    @admin.action(description=action.label, permissions=["change"])
    def act(page: WebhookAdmin, request: HttpRequest, rows: QuerySet[Webhook]) -> None:
        for row in rows:
            page.run_action(request, row, action)

    act.__name__ = action.name
    return act


@admin.register(Webhook)
class WebhookAdmin(GuardedAdmin):
    """The page of webhooks."""

    vendor_sees = provider_sees = ("account",)
    accounts_write = deletable = True
    change_form_template = "admin/webhooks/webhook/change_form.html"
    actions = [_admin_action(action) for action in ACTIONS.values()]
    actions_selection_counter = True
    list_per_page = 50
    list_display = (
        columns.name_and_id,
        columns.product,
        columns.type_label,
        "active",
        columns.health,
        *columns.COUNTERS,
        columns.last_event,
        columns.last_success,
        columns.last_failure,
    )
    list_filter = (
        "active",
        "out_of_order",
        ("type", admin.AllValuesFieldListFilter),
        ("object_class", admin.AllValuesFieldListFilter),
        ("product", admin.RelatedOnlyFieldListFilter),
    )
    list_select_related = ("product", "last_success", "last_failure")
    search_fields = ("id", "label", "external_url", "description")
    readonly_fields: ClassVar[Any] = columns.SHOWN
    deferred_in_list = (
        "headers",
        "data",
        "jwt_secret",
        *(f"last_{end}__{name}" for end in ("success", "failure") for name in LARGE),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Webhook]:
        """Return the webhooks, annotated with the end of their backoff."""
        rows: QuerySet[Webhook] = super().get_queryset(request)
        return rows.annotate(**next_attempt.backoff_end(clock.now()))

    def get_fieldsets(self, request: HttpRequest, obj: Webhook | None = None) -> Any:
        """Return the sections of the page; a new webhook has no statistics yet."""
        data = ("Additional data", {"fields": ["data"]})
        if obj is None:
            own = ["account"] if account_of(request) is None else []
            http: list[Any] = ["external_url", "http_method", "jwt_secret", "headers"]
            return [
                ("General", {"fields": [*own, *GENERAL]}),
                ("Product and type", {"fields": ["product", "kind"]}),
                ("HTTP settings", {"fields": http}),
                data,
            ]
        may_change = self.has_change_permission(request, obj)
        secrets = ["new_secret", "headers"] if may_change else [columns.masked_headers]
        http = ["external_url", "http_method", columns.masked_secret, *secrets]
        return [
            ("General", {"fields": GENERAL}),
            ("HTTP settings", {"fields": http}),
            data,
            *columns.FACTS,
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Webhook | None = None) -> Any:
        """Return the fields that can't be changed after creation."""
        return () if obj is None else self.readonly_fields

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form class of this request, with its user."""
        kwargs["form"] = WebhookForm if change else NewWebhookForm
        form = super().get_form(request, obj, change=change, **kwargs)
        form.user = user_of(request)  # type: ignore[attr-defined]
        return form

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return Django's response; a refused change becomes a message."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Refused as refused:
            messages.error(request, str(refused))
            return redirect("admin:webhooks_webhook_changelist")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the webhook with the buttons of its actions."""
        row = self.get_object(request, unquote(object_id))
        may_change = row is not None and self.has_change_permission(request, row)
        available = (
            [a for a in ACTIONS.values() if row and a.is_available(row)] if may_change else []
        )
        context = {**(extra_context or {}), "actions": available, "may_reveal": may_change}
        return super().change_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the webhook by `webhooks.actions`."""
        fields = form.fields_of_webhook
        if change:
            webhook_actions.edit(obj.pk, user_of(request), fields)
        else:
            obj.pk = webhook_actions.create(form.account_of_webhook, user_of(request), fields).pk
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: Webhook) -> None:
        """Delete by `webhooks.actions`: marked as deleted, and removed in steps."""
        webhook_actions.delete(obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """Delete by `webhooks.actions`: marked as deleted, and removed in steps."""
        webhook_actions.delete(*queryset.values_list("pk", flat=True))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return counts of the objects deleted with it: there may be 100,000 attempts."""
        keys = [obj.pk for obj in objs]
        counted = {
            str(model._meta.verbose_name_plural): model._default_manager.filter(
                webhook__in=keys
            ).count()
            for model in (Delivery, Event, Attempt)
        }
        return [str(obj) for obj in objs], {"webhooks": len(keys), **counted}, set(), []

    def get_urls(self) -> list[Any]:
        """Return the URLs of the pages, with those of the buttons."""
        do, secret = (
            self.admin_site.admin_view(require_POST(view))
            for view in (self.action_view, self.secret_view)
        )
        return [
            path("<path:object_id>/do/<str:name>/", do, name="webhooks_webhook_do"),
            path("<path:object_id>/secret/", secret, name="webhooks_webhook_secret"),
            *super().get_urls(),
        ]

    def action_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Run the action of a button, and show the webhook again."""
        row = self._changeable(request, object_id)
        if name not in ACTIONS:
            raise Http404
        self.run_action(request, row, ACTIONS[name])
        return redirect(reverse("admin:webhooks_webhook_change", args=[row.pk]))

    def run_action(self, request: HttpRequest, row: Webhook, action: WebhookAction) -> None:
        """Run the action, and show its message."""
        try:
            message, _ = action.run(row, user_of(request))
            messages.success(request, message)
        except Refused as refused:
            messages.error(request, str(refused))
        else:
            self.log_change(request, row, f"{action.label}.")

    def secret_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the secret to users who may change it, and note that in the history."""
        row = self._changeable(request, object_id)
        more = " and the header values" if row.headers else ""
        self.log_change(request, row, f"Revealed the JWT secret{more}.")
        webhook_actions.reveal(row, user_of(request))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": "JWT secret",
            "subtitle": str(row),
            "secret": row.jwt_secret,
            "headers": pairs(row.headers.items()) if row.headers else "",
            "short": is_short_secret(row.jwt_secret),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/webhooks/webhook/secret.html", context)

    def _changeable(self, request: HttpRequest, object_id: str) -> Webhook:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        return cast(Webhook, row)
