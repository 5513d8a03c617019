"""Handlers that lose work when the API fails, or when they are killed."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta
from typing import Any

from tests.checks.handlers.api import Api, ApiError
from tests.checks.handlers.reference import Handler, Json
from tests.checks.handlers.web import Call, Response


class _GivesUp(Handler):
    """It takes a run for done that failed with one of these statuses."""

    statuses: tuple[int, ...] = ()

    def approve_pending(self, api: Api, product: str) -> None:
        try:
            super().approve_pending(api, product)
        except ApiError as error:
            if error.status not in self.statuses:
                raise
            self.failed(error)


class GivesUpAfterAnyError(_GivesUp):
    """It writes errors into its log, and goes on as if there were none."""

    statuses = (0, *range(400, 600))


class GivesUpOnServerErrors(_GivesUp):
    """It doesn't try again when the API has failed."""

    statuses = tuple(range(500, 600))


class GivesUpWhenThrottled(_GivesUp):
    """It takes 429 for a refusal that is meant for ever."""

    statuses = (429,)


class GivesUpWhenForbidden(_GivesUp):
    """It takes 403 for a refusal of the order, which needs no second try."""

    statuses = (403,)


class GivesUpOnResets(_GivesUp):
    """It doesn't try again when a connection broke."""

    statuses = (0,)


class SendsAnotherValueAfterALostResponse(Handler):
    """It believes that nothing was done if no response came."""

    def __init__(self, environ: Any) -> None:
        super().__init__(environ)
        self.lost: dict[str, int] = {}

    def fill(self, api: Api, order: Json) -> None:
        try:
            super().fill(api, order)
        except ApiError as error:
            if error.status == 0:
                self.lost[order["id"]] = self.lost.get(order["id"], 0) + 1
            raise
        self.lost.pop(order["id"], None)

    def empty(self, order: Json) -> list[str]:
        if order["id"] not in self.lost:
            return super().empty(order)
        return [param["id"] for param in self.required(order)]

    def value(self, order: Json, name: str) -> str:
        return f"{super().value(order, name)}-{self.lost.get(order['id'], 0)}"


class FillsParametersInEachRun(Handler):
    """It gives each run's own value to parameters, whether or not they have one."""

    def empty(self, order: Json) -> list[str]:
        return [param["id"] for param in self.required(order)]

    def value(self, order: Json, name: str) -> str:
        return str(uuid.uuid4())


class TakesFilledOrdersAsDone(Handler):
    """It takes an order whose parameters have values as approved."""

    def approve(self, api: Api, id: str, template: str) -> None:
        if self.empty(api.get(f"/requests/{id}")):
            super().approve(api, id, template)


class _AnswersBeforeItWorks(Handler):
    """It takes on all work, whether or not it succeeds."""

    def process(self, product: str, claims: Json) -> bool:
        self.worker(product).process(self.api_url or claims["api_url"], patience=0)
        return True


class KeepsItsWorkInMemory(_AnswersBeforeItWorks):
    """It answers before it works, and doesn't look for work when it is started."""

    def process_at_start(self) -> None:
        return


class RefusesAllAfterALostApproval(Handler):
    """It keeps a broken connection after an approval, and fails at each call from then on."""

    is_broken = False

    def send_approval(self, api: Api, id: str, template: str) -> None:
        try:
            super().send_approval(api, id, template)
        except ApiError as error:
            self.is_broken = self.is_broken or error.status == 0
            raise

    def respond(self, call: Call) -> Response:
        return Response(500) if self.is_broken else super().respond(call)


class StopsAfterALostApproval(RefusesAllAfterALostApproval):
    """Its worker has ended after a broken connection, and it takes on work for nobody."""

    def respond(self, call: Call) -> Response:
        return Response(200) if self.is_broken else super().respond(call)


class BacksOffSilently(_AnswersBeforeItWorks):
    """It takes on all work, and repeats what has failed after 1, 2, 4, … s; calls end no pause."""

    failures = 0

    def approve_pending(self, api: Api, product: str) -> None:
        super().approve_pending(api, product)
        self.failures = 0

    def failed(self, error: Exception) -> None:
        super().failed(error)
        time.sleep(2.0 ** min(self.failures, 5))
        self.failures += 1

    def pause(self, failures: int) -> float:
        return 0.0


class HammersAFailingApi(Handler):
    """It tries again at once."""

    def pause(self, failures: int) -> float:
        return 0.0


class HammersWithARefusedKey(Handler):
    """It tries again at once after 403, as if another call had another key."""

    is_refused = False

    def failed(self, error: Exception) -> None:
        super().failed(error)
        self.is_refused = isinstance(error, ApiError) and error.status == 403

    def pause(self, failures: int) -> float:
        return 0.0 if self.is_refused else super().pause(failures)


class GivesUpAfterThreeFailures(Handler):
    """It takes a run for done that failed three times."""

    failures = 0

    def approve_pending(self, api: Api, product: str) -> None:
        try:
            super().approve_pending(api, product)
        except ApiError as error:
            self.failures += 1
            if self.failures < 3:
                raise
            self.failed(error)
        self.failures = 0


class ReadsRecentOrdersOnly(Handler):
    """It reads the orders of the last minute, since Connect calls it at once."""

    since = ""

    def queue_changed(self, call: Call, claims: Json) -> Response:
        triggered_at = datetime.fromisoformat(claims["triggered_at"])
        self.since = (triggered_at - timedelta(minutes=1)).isoformat()
        return super().queue_changed(call, claims)

    def query(self, product: str) -> str:
        recent = f"&ge(created,{self.since})" if self.since else ""
        return f"{super().query(product)}{recent}"
