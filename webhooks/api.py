"""`/notifications/webhooks`, Connect's path: list, create, read, change, delete, trigger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response as ApiResponse

from requests_queue import clock
from requests_queue.api.resources import NAMED, SELF, Field, Part, Resource
from requests_queue.api.schema import Answer, Documented, Free, Json, Stamp, Uri
from requests_queue.catalog.representations import PERSON, PICTURED
from requests_queue.catalog.rest import Collection, routes
from webhooks import actions, conf, next_attempt, validation_rules
from webhooks.models import Attempt, Webhook


class Response(TypedDict, total=False):
    """The handler's response, up to 64 KiB of its body; empty without a response.

    `redacted`: secrets were replaced in it, or in the request.
    """

    headers: dict[str, str]
    body: str
    redacted: bool


def _response(row: Attempt) -> Json:
    """Return what the handler returned; empty where there was no response."""
    if row.status_code is None:
        return {}
    body = bytes(row.response_body).decode("utf-8", "replace")
    redacted = {"redacted": True} if row.redacted else {}
    return {"headers": dict(row.response_headers), "body": body, **redacted}


# `duration` (ms) and the content of `response` are ours.
_LAST_CALL = Part(
    "LastTriggerInfo",
    "An attempt; `duration` in milliseconds, `status_code` null without a response.",
    {
        "time": Field(Stamp, "finished_at"),
        "status": Field(Literal["success", "failure"], "outcome"),
        "status_code": int | None,
        "duration": int,
        "response": Field(Response, _response),
        "errors": Field(str, "error"),
    },
)
WEBHOOK = Resource(
    "Webhook",
    "A webhook; its type, object class and product never change. `earliest_possible_trigger` is "
    "when the next attempt may start, null if immediately.",
    {
        "id": str,
        "type": str,
        "object_class": str,
        "label": str,
        "description": str,
        "active": bool,
        "external_url": Uri,
        "http_method": Field(Literal["GET", "POST"], unfiltered=True),
        "jwt_secret": Field(str, unfiltered=True),
        "headers": Field(dict[str, str], unfiltered=True),
        "data": Field(Free, unfiltered=True),
        "product": Field(PICTURED),
        "account": Field(NAMED, unfiltered=True),
        "api_url": Field(Uri, lambda row: conf.api_url()),
        "created_at": Stamp,
        "created_by": Field(PERSON, empty=None, unfiltered=True),
        "modified_at": Field(Stamp | None, unfiltered=True),
        "modified_by": Field(PERSON, empty=None, unfiltered=True),
        # Annotated (`next_attempt.backoff_end`): null once it has passed.
        "earliest_possible_trigger": Field(Stamp | None, "next_attempt_at"),
        "last_event": Field(Stamp | None, unfiltered=True),
        "stats": Field(
            Part(
                "Stats",
                "The counters of a webhook; `out_of_order` is the simulator's own.",
                {
                    "events": int,
                    "triggers": int,
                    "success_triggers": int,
                    "failure_triggers": int,
                    "failure_since_last_success": int,
                    # Ours: Connect documents the state, but has no field for it.
                    "out_of_order": bool,
                },
            ),
            SELF,
            unfiltered=True,
        ),
        "last_success": Field(_LAST_CALL, empty=None),
        "last_failure": Field(_LAST_CALL, empty=None),
    },
    model=Webhook,
    search=("id", "label", "description", "product.id", "product.name"),
    also={"product_id": "product__id"},
)


class Webhooks(Collection):
    """The webhooks of the caller's account."""

    documented = Documented("Webhooks", "webhook", WEBHOOK, answers={"trigger": Answer(200)})
    bodies = {"create": validation_rules.CREATE, "update": validation_rules.UPDATE}

    def visible(self) -> QuerySet[Webhook]:
        """Return the account's webhooks."""
        return Webhook.objects.filter(account=self.account)

    def annotations(self) -> Mapping[str, Any]:
        """Return the end of the backoff."""
        return next_attempt.backoff_end(clock.now())

    def create(self, request: Request) -> ApiResponse:
        """Create a webhook: 201, or 400 with `field: message`."""
        fields = validation_rules.for_create(self.data, self.account)
        row = actions.create(self.account, self.user, fields)
        return self.answer(self.get_queryset().get(pk=row.pk), 201)

    def update(self, request: Request, pk: str) -> ApiResponse:
        """Change a webhook: 200; a field that the body lacks stays as it is."""
        row = self.get_object()
        fields = validation_rules.for_update(self.data, row.type, row.external_url)
        actions.edit(pk, self.user, fields)
        return self.answer(self.get_object())

    def destroy(self, request: Request, pk: str) -> ApiResponse:
        """Delete a webhook, enabled or not: 204."""
        self.get_object()
        actions.delete(pk)
        return ApiResponse(status=204)

    @action(detail=True, methods=["post"])
    def trigger(self, request: Request, pk: str) -> ApiResponse:
        """Trigger now: 200 with an empty body, before the call is made; 400 when disabled."""
        actions.trigger(self.get_object(), self.user)
        return ApiResponse(status=200)


urlpatterns = routes("notifications/webhooks", Webhooks)
