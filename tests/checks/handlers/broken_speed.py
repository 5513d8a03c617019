"""Handlers that are too slow, or bad at serving connections."""

from __future__ import annotations

import time
from http.server import HTTPServer
from threading import BoundedSemaphore
from typing import Any

from tests.checks.handlers.api import Api
from tests.checks.handlers.reference import Handler, Json
from tests.checks.handlers.web import Call, Connection, Response, Server


class AnswersWhenDone(Handler):
    """It keeps the caller waiting until all work is done."""

    patience = 600.0


class AcceptsAndWorksLater(Handler):
    """It accepts each call at once, and puts the work into a queue."""

    def queue_changed(self, call: Call, claims: Json) -> Response:
        product = self.product_of(call, claims)
        if self.product_id and product != self.product_id:
            return Response(403)
        self.worker(product).process(self.api_url or claims["api_url"], patience=0)
        return Response(202)


class _Slow(AnswersWhenDone):
    seconds = 0.0

    def send_approval(self, api: Api, id: str, template: str) -> None:
        time.sleep(self.seconds)
        super().send_approval(api, id, template)


class AnswersAfterSixSeconds(_Slow):
    """It needs 60 ms more for each order, and answers after a hundred."""

    seconds = 0.06


class AnswersAfterFortySeconds(_Slow):
    """It needs 0.4 s more for each order, and answers after a hundred."""

    seconds = 0.4


class ClosesConnections(Handler):
    """It speaks HTTP/1.0: a connection serves one request."""

    class connection(Connection):
        protocol_version = "HTTP/1.0"


class BreaksKeptConnections(Handler):
    """It says that it keeps a connection open, and closes it after a response."""

    class connection(Connection):
        def handle(self) -> None:
            self.close_connection = False
            self.handle_one_request()


class ServesOneConnectionAtATime(Handler):
    """It has one thread for all connections."""

    class server(Server):
        request_queue_size = 5
        process_request = HTTPServer.process_request


class DropsConnections(Handler):
    """It has room for twenty connections, and hangs up on the others.

    A place is free again half a second after its connection: a client without much CPU time opens
    the connections one after another.
    """

    class server(Server):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.room = BoundedSemaphore(20)

        def process_request(self, request: Any, client_address: Any) -> None:
            if self.room.acquire(blocking=False):
                super().process_request(request, client_address)
            else:
                self.shutdown_request(request)

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            try:
                super().process_request_thread(request, client_address)
            finally:
                time.sleep(0.5)
                self.room.release()


class _RefusesFirst(Connection):
    def read_body(self) -> bytes:
        if "Authentication" not in self.headers and "Authorization" not in self.headers:
            return b""
        return super().read_body()


class LeavesRefusedBodies(Handler):
    """It refuses a request without a token before it reads the body."""

    connection = _RefusesFirst
