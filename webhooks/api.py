"""`/notifications/webhooks`, Connect's path: list, create, read, change, delete, trigger."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue import clock
from requests_queue.catalog.representations import company, person, product_ref
from requests_queue.filtering import ConnectFilters, computed, filters, parts
from requests_queue.resources import format_datetime
from requests_queue.rest import Collection, routes
from requests_queue.schema import Json
from webhooks import actions, conf, schema, validation_rules
from webhooks.delivery import fan_out, next_attempt
from webhooks.models import Attempt, Webhook


class WebhookFilters(ConnectFilters):
    """The filters and orderings of webhooks."""

    MODEL = Webhook
    FILTERS = [
        *filters(
            "id", "label", "description", "active", "type", "object_class", "created_at",
            "external_url", ("product.id", "product__id"), ("product.name", "product__name"),
            ("product_id", "product__id"),
            search=("id", "label", "description", "product.id", "product.name"),
        ),
        # Null once it has passed, as in the representation.
        computed(
            "earliest_possible_trigger", "next_attempt_at", models.DateTimeField(null=True)
        ),
        *parts("stats", "last_success", "last_failure", "headers", "data"),
    ]  # fmt: skip


def last_attempt(attempt: Attempt | None) -> Json | None:
    """Return Connect's LastTriggerInfo; `duration` (ms) and the content of `response` are ours."""
    if attempt is None:
        return None
    has_response = attempt.status_code is not None
    return {
        "time": format_datetime(attempt.finished_at),
        "status": attempt.outcome,
        "status_code": attempt.status_code,
        "duration": attempt.duration,
        "response": {
            "headers": dict(attempt.response_headers),
            "body": bytes(attempt.response_body).decode("utf-8", "replace"),
        }
        if has_response
        else {},
        "errors": attempt.error,
    }


def webhook(row: Any) -> Json:
    """Return the representation of a webhook."""
    return {
        "id": row.id,
        "type": row.type,
        "object_class": row.object_class,
        "label": row.label,
        "description": row.description,
        "active": row.active,
        "external_url": row.external_url,
        "http_method": row.http_method,
        "jwt_secret": row.jwt_secret,
        "headers": row.headers,
        "data": row.data,
        "product": product_ref(row.product),
        "account": company(row.account),
        "api_url": conf.api_url(),
        "created_at": format_datetime(row.created_at),
        "created_by": person(row.created_by) if row.created_by else None,
        "modified_at": format_datetime(row.modified_at),
        "modified_by": person(row.modified_by) if row.modified_by else None,
        # Annotated by `next_attempt.annotate`: null once it has passed.
        "earliest_possible_trigger": format_datetime(row.next_attempt_at),
        "last_event": format_datetime(row.last_event),
        "stats": {
            "events": row.events,
            "triggers": row.triggers,
            "success_triggers": row.success_triggers,
            "failure_triggers": row.failure_triggers,
            "failure_since_last_success": row.failure_since_last_success,
            # Ours: Connect documents the state, but has no field for it.
            "out_of_order": row.out_of_order,
        },
        "last_success": last_attempt(row.last_success),
        "last_failure": last_attempt(row.last_failure),
    }


class Webhooks(Collection):
    """The webhooks of the caller's account."""

    documented = schema.WEBHOOKS
    related = ("product", "account", "created_by", "modified_by", "last_success", "last_failure")
    represent = staticmethod(webhook)
    rql_filter_class = WebhookFilters

    def visible(self) -> QuerySet[Webhook]:
        """Return the account's webhooks."""
        return next_attempt.annotate(Webhook.objects.filter(account=self.account), clock.now())

    def complete(self, rows: QuerySet[Webhook]) -> QuerySet[Webhook]:
        """Return the webhooks with the related rows of their representation."""
        if "next_attempt_at" not in rows.query.annotations:
            rows = next_attempt.annotate(rows, clock.now())
        webhooks: QuerySet[Webhook] = super().complete(rows)
        return webhooks

    def create(self, request: Request) -> Response:
        """Create a webhook: 201, or 400 with `field: message`."""
        fields = validation_rules.for_create(self.body, self.account)
        row = actions.create(self.account, self.user, fields)
        return self.answer(self.get_queryset().get(pk=row.pk), 201)

    def update(self, request: Request, pk: str) -> Response:
        """Change a webhook: 200; a field that the body lacks stays as it is."""
        row = self.get_object()
        fields = validation_rules.for_update(self.body, row.type, row.external_url)
        actions.edit(pk, self.user, fields)
        return self.answer(self.get_object())

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a webhook, enabled or not: 204."""
        self.get_object()
        actions.delete(pk)
        return Response(status=204)

    @action(detail=True, methods=["post"])
    def trigger(self, request: Request, pk: str) -> Response:
        """Trigger now: 200 with an empty body, before the call is made; 400 when disabled."""
        fan_out.trigger(self.get_object())
        return Response(status=200)


urlpatterns = routes("notifications/webhooks", Webhooks)
