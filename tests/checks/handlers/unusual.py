"""Handlers without defects that work in ways that checks might not expect."""

from __future__ import annotations

import fcntl
import os
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

from tests.checks.handlers.api import Api
from tests.checks.handlers.reference import Handler, Json
from tests.checks.handlers.web import Call, Response


class _Accepts(Handler):
    """It responds 202 to what it will process."""

    def queue_changed(self, call: Call, claims: Json) -> Response:
        response = super().queue_changed(call, claims)
        return Response(202) if response.status == 200 else response


class WorksInAnotherProcess(_Accepts):
    """It responds 202, and a process of its own works off what was accepted."""

    def serve(self) -> None:
        reading, self.writing = os.pipe()
        if os.fork() == 0:
            os.close(self.writing)
            while os.read(reading, 4096):
                super().process_at_start()
            os._exit(0)
        os.close(reading)
        super().serve()

    def process_at_start(self) -> None:
        os.write(self.writing, b"\n")

    def process(self, product: str, claims: Json) -> bool:
        self.process_at_start()
        return True


class ApprovesInABatchEachMinute(_Accepts):
    """It responds 202, and approves everything when a minute of the platform's time begins."""

    def process(self, product: str, claims: Json) -> bool:
        return True

    def process_at_start(self) -> None:
        Thread(target=self.follow_the_clock, daemon=True).start()

    def follow_the_clock(self) -> None:
        last = self.minute()
        while True:
            time.sleep(1)
            if (minute := self.minute()) != last:
                last = minute
                super().process_at_start()

    def minute(self) -> int:
        """Return the minute by the API's clock."""
        headers = {"Authorization": self.key}
        with urlopen(Request(f"{self.api_url}/products/{self.product_id}", headers=headers)) as got:
            return int(parsedate_to_datetime(got.headers["Date"]).timestamp() // 60)


class SharesItsPortWithAnotherProcess(Handler):
    """Two processes accept its connections, and one of them works at a time."""

    def serve(self) -> None:
        server = self.server((self.host, self.port), self.connection)
        server.handler = self
        os.fork()
        self.process_at_start()
        server.serve_forever()

    def approve_pending(self, api: Api, product: str) -> None:
        with Path("working.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            super().approve_pending(api, product)
