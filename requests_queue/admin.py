"""Admin pages of the queues: read-only objects, with their actions as buttons and list actions.

Django imports this module after all apps are ready, so every queue is registered. Only
`transitions.move` writes a status.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from requests_queue.catalog import audit
from requests_queue.catalog.admin_access import ChoiceFilter, GuardedAdmin, account_of
from requests_queue.catalog.admin_show import column, json_column, moment, moment_column
from requests_queue.catalog.models import Account
from requests_queue.catalog.sign_in_limits import LimitedSignIn
from requests_queue.errors import ActionNotAllowed, Forbidden, Missing, Refused
from requests_queue.queues import admin_actions, base
from requests_queue.queues.action_form import ActionForm, fields_of
from requests_queue.queues.base import QueueObject, for_model


class StatusFilter(ChoiceFilter):
    """Filter by status."""

    title = parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the queue's statuses."""
        return [(status.name, status.title) for status in model_admin.queue.statuses]


class TypeFilter(ChoiceFilter):
    """Filter by type."""

    title = parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the queue's types."""
        return [(kind, kind) for kind in model_admin.queue.types]


# The errors of a list action that are shown one by one.
SHOWN_ERRORS = 10


class QueueAdmin(GuardedAdmin):
    """The admin page of a queue."""

    read_only = True
    vendor_sees = ("vendor",)
    provider_sees = ("provider",)
    show_full_result_count = False
    list_per_page = 50
    change_form_template = "admin/requests_queue/queue_object.html"
    created_at = staticmethod(column("created", "created", moment, ordering="created"))
    updated_at = staticmethod(column("updated", "updated", moment, ordering="updated"))

    def __init__(self, model: type[QueueObject], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        self.queue = for_model(model)
        fields = model._meta.concrete_fields
        columns = {f.name for f in fields}
        kind = ("type",) if "type" in columns else ()
        asset = ("asset",) if "asset" in columns else ()
        # The first fields of the page and columns of the list.
        self.first = ("id", *kind, *(("status",) if self.queue.statuses else ()))
        self.list_display = (
            *self.first,
            "product",
            *asset,
            "vendor",
            "provider",
            "created_at",
            "updated_at",
        )
        self.deferred_in_list = tuple(f.name for f in fields if isinstance(f, models.JSONField))
        # The stubs have these in classes only, but one class serves all queues.
        self.list_select_related = ("product", "vendor", "provider", *asset)  # type: ignore[misc]
        self.search_fields = ("id", *(f"{name}__id" for name in asset))  # type: ignore[misc]
        self.list_filter = (  # type: ignore[misc]
            StatusFilter,
            *([TypeFilter] if kind else []),
            ("product", admin.RelatedOnlyFieldListFilter),
        )

    def visible_to(self, rows: QuerySet[Any], account: Account) -> QuerySet[Any]:
        """Return the rows that the account may see, by the queue's rule."""
        return rows.filter(pk__in=self.queue.model.visible_to(account).values("pk"))

    def listed_to(self, rows: QuerySet[Any], account: Account) -> QuerySet[Any]:
        """Return the rows that the account's lists have, by the queue's rule."""
        return rows.filter(pk__in=self.queue.model.listed_to(account).values("pk"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return all fields, JSON in boxes; id, type and status first."""
        shown = (*self.first, "status")
        rest = [f for f in self.opts.concrete_fields if f.editable and f.name not in shown]
        return [*self.first, *(_shown(f) for f in rest)]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may see the object, as one of its parties."""
        account = account_of(request)
        if obj is not None and account is not None and account.pk not in obj.parties():
            return False
        return super().has_view_permission(request, obj)

    def get_urls(self) -> list[Any]:
        """Return the URLs of the page and its actions."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_move"
        view = self.admin_site.admin_view(self.move_view)
        return [path("<path:object_id>/move/<str:name>/", view, name=name), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the object with the actions that the user can take."""
        row = self.get_object(request, unquote(object_id))
        buttons = [] if row is None else self._buttons(request, row)
        context = {**(extra_context or {}), "queue": self.queue, "available_actions": buttons}
        return super().change_view(request, object_id, form_url, context)

    def _buttons(self, request: HttpRequest, row: QueueObject) -> list[dict[str, Any]]:
        roles = admin_actions.roles(request, row)
        return [
            {
                "offer": offer,
                "url": self._url("move", row.pk, offer.name),
                "form": ActionForm(
                    self.queue, offer.name, [row.product_id], auto_id=f"id_{offer.name}_%s"
                )
                if fields_of(self.queue, offer.name)
                else None,
            }
            for offer in admin_actions.available(self.queue, row, roles)
        ]

    def _url(self, view: str, *args: str) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{view}", args=args)

    def move_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """GET: the form of an action. POST: take it."""
        row = self.get_object(request, unquote(object_id))
        if row is None or name not in self.queue.by_name:
            raise Http404
        if not self.has_view_permission(request, row) or not admin_actions.roles(request, row):
            raise PermissionDenied
        given = request.POST if request.method == "POST" else None
        form = ActionForm(self.queue, name, [row.product_id], given)
        if form.is_valid():
            try:
                done = admin_actions.run(self.queue, row, name, request, form.action_data())
            except (ActionNotAllowed, Forbidden, Missing) as refused:
                messages.error(request, str(refused))
                return redirect(self._url("change", row.pk))
            except Refused as refused:
                form.add_error(None, refused.messages)
            else:
                self._log(request, row, done)
                messages.success(request, f"{row.pk}: {name} → {done.target}.")
                return redirect(self._url("change", row.pk))
        return self._ask(request, name, form, title=f"{name.capitalize()} {row.pk}", original=row)

    def _log(
        self, request: HttpRequest, row: QueueObject, done: admin_actions.AvailableAction
    ) -> None:
        self.log_change(request, row, f"{done.name} as {done.role}: {row.status} → {done.target}")

    def _ask(
        self, request: HttpRequest, name: str, form: ActionForm, **context: Any
    ) -> TemplateResponse:
        return TemplateResponse(
            request,
            "admin/requests_queue/action.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "name": name,
                "form": form,
                "media": self.media,
                **context,
            },
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions of the user's roles as list actions."""
        actions: dict[str, Any] = super().get_actions(request)
        roles = set(admin_actions.roles_on(request, self.model))
        for name in dict.fromkeys(m.name for m in self.queue.actions if m.actors & roles):
            key = f"move_{name}"
            actions[key] = (
                partial(QueueAdmin.move_all, name=name),
                key,
                name.replace("_", " ").capitalize(),
            )
        return actions

    def move_all(self, request: HttpRequest, rows: QuerySet[Any], name: str) -> HttpResponse | None:
        """Take an action with the selected objects, after a page with its form."""
        products = set(rows.order_by().values_list("product", flat=True).distinct()[:2])
        asks = fields_of(self.queue, name)
        confirmed = "confirmed" in request.POST
        form = ActionForm(
            self.queue,
            name,
            products if len(products) == 1 else (),
            request.POST if confirmed or not asks else None,
        )
        if not form.is_valid():
            title = f"{name.capitalize()}: {rows.count()} selected"
            keys = list(rows.values_list("pk", flat=True))
            return self._ask(request, name, form, title=title, selected=keys)
        refused: list[str] = []
        moved = 0
        for row in rows.select_related("vendor", "provider"):
            try:
                done = admin_actions.run(self.queue, row, name, request, form.action_data())
            except Refused as refusal:
                refused.append(f"{row.pk}: {refusal}")
            else:
                self._log(request, row, done)
                if not moved:
                    audit.record(audit.Action.QUEUE_BULK, self.queue.object_class, name)
                moved += 1
        if moved:
            messages.success(request, f"{name}: {moved} changed.")
        for sentence in refused[:SHOWN_ERRORS]:
            messages.error(request, sentence)
        if len(refused) > SHOWN_ERRORS:
            messages.error(request, f"{len(refused) - SHOWN_ERRORS} more failed.")
        return None


def _shown(field: Any) -> Any:
    """Return the read-only field of a column."""
    if isinstance(field, models.JSONField):
        return json_column(field.name, str(field.verbose_name))
    if isinstance(field, models.DateTimeField):
        return moment_column(field.name, str(field.verbose_name))
    return field.name


class AdminSignIn(LimitedSignIn, AdminAuthenticationForm):
    """The sign-in form of the admin, with the limits on failed attempts."""


admin.site.login_form = AdminSignIn
admin.site.site_header = admin.site.site_title = "Connect Sim"

for queue in base.registered():
    if not admin.site.is_registered(queue.model):
        admin.site.register(queue.model, QueueAdmin)
