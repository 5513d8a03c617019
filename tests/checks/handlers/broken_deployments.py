"""Handlers that don't survive their own deployment."""

from __future__ import annotations

import os
import signal
import time
import uuid
from typing import Any

from tests.checks.handlers.api import Api, ApiError
from tests.checks.handlers.reference import Handler, Json
from tests.checks.handlers.web import Call, Response


class FailsItsOrdersOnSigterm(Handler):
    """When it is ended, it fails what it works on, so that nothing is left."""

    in_work: tuple[Api, str] | None = None

    def serve(self) -> None:
        signal.signal(signal.SIGTERM, self.end)
        super().serve()

    def end(self, *args: Any) -> None:
        if self.in_work:
            api, id = self.in_work
            try:
                api.post(f"/requests/{id}/fail", {"reason": "The server is stopping."})
            except ApiError as error:
                self.failed(error)
        os._exit(0)

    def approve(self, api: Api, id: str, template: str) -> None:
        self.in_work = api, id
        super().approve(api, id, template)
        self.in_work = None


class IgnoresSigterm(Handler):
    """It has no time to end."""

    def serve(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        super().serve()


class CreatesUnderNewNames(Handler):
    """It works on one order at a time in its process, and creates something new in each run."""

    def value(self, order: Json, name: str) -> str:
        return str(uuid.uuid4())


class AcceptsWhatItCannotVerify(Handler):
    """It drops a call that isn't genuine, and tells nobody; and looks for nothing at the start."""

    def respond(self, call: Call) -> Response:
        response = super().respond(call)
        return Response(200) if response.status == 401 else response

    def process_at_start(self) -> None:
        return


class WarmsUpForTwoSeconds(Handler):
    """It listens before it can work, and answers so that nobody sees it."""

    def __init__(self, environ: Any) -> None:
        super().__init__(environ)
        self.ready_at = time.monotonic() + 2

    def respond(self, call: Call) -> Response:
        return Response(200) if time.monotonic() < self.ready_at else super().respond(call)

    def process_at_start(self) -> None:
        return


class ReadsItsTemplateAtTheStart(Handler):
    """It reads the template that it approves with once, and goes on without one."""

    template = ""

    def process_at_start(self) -> None:
        api = Api(str(self.api_url), self.key)
        try:
            self.template = super().find_template(api, str(self.product_id))
        except ApiError as error:
            self.failed(error)

    def find_template(self, api: Api, product: str) -> str:
        return self.template

    def send_approval(self, api: Api, id: str, template: str) -> None:
        if template:
            super().send_approval(api, id, template)
