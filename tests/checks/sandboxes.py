"""Throwaway sandboxes that are started once, for tests that run checks of many handlers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from queue import Queue
from typing import Any
from unittest import mock

from checks import lanes
from checks.client import Client, Part
from checks.guard import Guard
from checks.sandbox_file import Sandbox
from checks.throwaway import Throwaway

_BEFORE = "before-all-checks"


class Running:
    """A sandbox, and a snapshot of it as it was in the beginning."""

    def __init__(self, throwaway: Throwaway) -> None:
        self.throwaway = throwaway
        self.sandbox = throwaway.start()
        self._client = Client(self.sandbox.address, self.sandbox.vendor_api_key)
        self._save()

    def create_product(self, body: Mapping[str, Any]) -> str:
        """Create a product that a restore keeps, and return its id."""
        self.restore()
        product = self._client.call("POST", "/sandbox/products", body)
        self._save()
        return str(product["id"])

    def import_product(self, workbook: bytes) -> str:
        """Import a product that a restore keeps, and return its id."""
        self.restore()
        form = [Part("file", workbook, "product.xlsx")]
        imported = self._client.upload("/sandbox/products/import", form)
        self._save()
        return str(imported["product"]["id"])

    def _save(self) -> None:
        body = {"name": _BEFORE, "replace": True}
        self._client.call("POST", "/sandbox/snapshots", body, timeout=60)

    def restore(self) -> None:
        """Remove what a run of checks has left."""
        path = f"/sandbox/snapshots/{_BEFORE}/restore"
        self._client.call("POST", path, {"patience": 10}, timeout=90)


class Borrowed:
    """Takes the place of `Throwaway` in a lane: one of the running sandboxes, restored."""

    def __init__(self, free: Queue[Running]) -> None:
        self._free = free
        self._running = free.get()

    def __enter__(self) -> Borrowed:
        return self

    def __exit__(self, *error: object) -> None:
        self._free.put(self._running)

    def start(self) -> Sandbox:
        self._running.restore()
        return self._running.sandbox

    @property
    def has_ended(self) -> bool:
        return self._running.throwaway.has_ended

    def log(self) -> str:
        return self._running.throwaway.log()

    def stop(self) -> None:
        """Leave it running: nothing waits on it but the end of the program."""


@contextmanager
def started(count: int = 1) -> Iterator[list[Running]]:
    """Start sandboxes, and end them."""
    with ExitStack() as stack:
        guard = stack.enter_context(Guard())
        yield [Running(stack.enter_context(Throwaway(guard))) for _ in range(count)]


@contextmanager
def lent(running: Iterable[Running]) -> Iterator[None]:
    """Let lanes use these sandboxes instead of starting others; with more lanes, lanes wait."""
    free: Queue[Running] = Queue()
    for each in running:
        free.put(each)
    borrow = lambda *_given: Borrowed(free)  # noqa: E731
    with mock.patch.object(lanes, "Throwaway", borrow):
        yield
