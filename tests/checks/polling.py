"""A handler without defects that polls: `python tests/checks/polling.py SECONDS [only]`.

Every so many seconds it processes what is pending, and a genuine request makes it do so at once;
with `only` it is just accepted. A request whose body doesn't fit its token is refused.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from threading import Thread

sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.checks.handlers.reference import Handler, Json  # noqa: E402
from tests.checks.handlers.web import Call, Response  # noqa: E402


class Polls(Handler):
    """Process the orders at intervals, one run at a time."""

    def __init__(self, seconds: str, only: str = "") -> None:
        super().__init__(os.environ)
        self.seconds, self.only = float(seconds), bool(only)

    def queue_changed(self, call: Call, claims: Json) -> Response:
        if call.method == "POST" and not self.fits(call.body, claims):
            return Response(400)
        return Response(200) if self.only else super().queue_changed(call, claims)

    def fits(self, body: bytes, claims: Json) -> bool:
        try:
            content = json.loads(body)
        except ValueError:
            return False
        return isinstance(content, dict) and content.get("product_id") == claims["product_id"]

    def process_at_start(self) -> None:
        Thread(target=self.poll, daemon=True).start()

    def poll(self) -> None:
        while True:
            super().process_at_start()
            time.sleep(self.seconds)


if __name__ == "__main__":
    Polls(*sys.argv[1:]).serve()
