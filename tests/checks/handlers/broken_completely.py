"""Handlers that don't do their work at all."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.checks.handlers.reference import Handler
from tests.checks.handlers.web import Call, Connection, Response


class RejectsEverything(Handler):
    """It refuses each call."""

    status = 401

    def respond(self, call: Call) -> Response:
        return Response(self.status)

    def process_at_start(self) -> None:
        return


class DoesNothing(RejectsEverything):
    """It answers 200, and does nothing."""

    status = 200


class NeverAnswers(Handler):
    """It accepts a connection and reads it, and sends nothing."""

    def respond(self, call: Call) -> Response:
        threading.Event().wait()
        raise AssertionError


class DiesAtTheFirstCall(Handler):
    """It ends when it is called."""

    def respond(self, call: Call) -> Response:
        print("Segmentation fault", flush=True)
        os._exit(139)


class AnswersGarbage(Handler):
    """It answers in a protocol of its own."""

    class connection(Connection):
        def send(self, response: Response) -> None:
            self.wfile.write(b"\x00\xffOK, thanks\n\n")
            self.close_connection = True


class FloodsItsOutput(Handler):
    """It works, and prints 10 MiB about each call."""

    def respond(self, call: Call) -> Response:
        for _ in range(160):
            print("debug " * 10_922, flush=True)
        return super().respond(call)


class DoesNotStart(Handler):
    """It ends before it listens."""

    def serve(self) -> None:
        raise SystemExit("The configuration of this handler is missing.")


class NeverListens(Handler):
    """It runs, and listens at no port."""

    def serve(self) -> None:
        threading.Event().wait()


class KeepsItsFirstSecret(Handler):
    """It stores the secret when it is started first, and never reads another one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        path = Path(
            tempfile.gettempdir(), f"first-secret-of-{environ.get('WEBHOOK_ID', 'a-webhook')}"
        )
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(self.secret)
        except FileExistsError:
            self.secret = path.read_text()
