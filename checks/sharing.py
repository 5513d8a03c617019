"""A sandbox that runs already, as a run uses it: alone, by a lease, and without what others left.

What a run creates there has the run's name, so that the next run finds it if this one is killed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from checks.client import ApiError, Client
from checks.options import RunningSandbox, lease_note, run_of, snapshot_base, snapshot_before
from checks.platform import WEBHOOKS, Json, Platform

LEASE = 30.0  # seconds after which the lease of a killed run expires
WAIT = 45.0  # seconds for which a run waits for others, and so for the lease of a killed one
_RENEW = 5.0  # seconds between two renewals
_GONE = 404


class LeaseLost(ApiError):
    """The lease has expired, so somebody else may use the sandbox."""

    def __init__(self) -> None:
        super().__init__(
            f"The lease of the sandbox has expired, because it was not renewed for {LEASE:g} s: "
            "the checks or the sandbox did not run. Somebody else may use the sandbox, so it was "
            "not restored. Run the checks again, which also removes what these have left."
        )


class Lease:
    """The exclusive use of a sandbox, which a thread renews."""

    def __init__(self, client: Client, note: str) -> None:
        self._client, self._note = client, note
        self._path = ""
        self._taken: Future[str] = Future()
        # When it expires (monotonic), or earlier: counted from before each renewal.
        self._expires = 0.0
        self._ended = threading.Event()

    @property
    def is_taken(self) -> bool:
        """Whether there was a lease, which may have expired since."""
        return bool(self._path)

    def take(self) -> None:
        """Wait for the lease, once; raises ApiError, which says who has it, after WAIT seconds.

        `cancel` ends the wait, also with an ApiError.
        """
        # In a thread, because a call can't be ended by another thread.
        threading.Thread(target=self._wait, name="check-lease-wait", daemon=True).start()
        try:
            self._path = self._taken.result()
        except CancelledError:
            raise ApiError("The run was interrupted.") from None
        self.renew()
        threading.Thread(target=self._keep, name="check-lease", daemon=True).start()

    def cancel(self) -> None:
        """End the wait for the lease at once, if it goes on."""
        self._taken.cancel()

    def renew(self) -> None:
        """Let the lease expire in LEASE seconds; raises LeaseLost, or another ApiError."""
        began = time.monotonic()
        try:
            self._client.call("PUT", self._path, {"ttl": LEASE}, timeout=2 * _RENEW)
        except ApiError as error:
            if error.status != _GONE:
                raise
            self._expires = 0.0
            raise LeaseLost from None
        self._expires = began + LEASE

    def check(self) -> None:
        """Raise LeaseLost unless the lease is known to be valid."""
        if time.monotonic() >= self._expires:
            raise LeaseLost

    def release(self) -> None:
        """Let others use the sandbox."""
        with suppress(ApiError):
            self._client.call("DELETE", self._path)

    def stop(self) -> None:
        """Renew the lease no more."""
        self._ended.set()

    def _wait(self) -> None:
        body = {"ttl": LEASE, "note": self._note, "wait": WAIT}
        try:
            lease = self._client.call("POST", "/sandbox/lease", body, timeout=WAIT + 30)
            path = f"/sandbox/lease/{lease['id']}"
            self._taken.set_result(path)
        except InvalidStateError:
            # The wait was canceled, so nobody uses the lease.
            with suppress(ApiError):
                self._client.call("DELETE", path)
        except Exception as error:
            with suppress(InvalidStateError):
                self._taken.set_exception(error)

    def _keep(self) -> None:
        while not self._ended.wait(_RENEW):
            try:
                self.renew()
            except LeaseLost:
                return
            except ApiError:
                # Tried again; without success, `check` raises when the lease may have expired.
                continue


class GuardedClient(Client):
    """A client that calls a function before each call, which may raise."""

    def __init__(self, base: str, key: str, guard: Callable[[], None]) -> None:
        super().__init__(base, key)
        self._guard = guard

    def _send(self, *args: Any) -> tuple[int, str, bytes]:
        self._guard()
        return super()._send(*args)


@dataclass(frozen=True, slots=True)
class SharedPlatform(Platform):
    """A running sandbox, where the label of a webhook names the run that has created it."""

    label: str = ""

    def create_webhook(self, product: str, url: str, secret: str, **values: Any) -> Json:
        """Create an inactive webhook."""
        return Platform.create_webhook(self, product, url, secret, label=self.label, **values)


def platform(sandbox: RunningSandbox, label: str, guard: Callable[[], None]) -> Platform:
    """Return a running sandbox, with a guard before each call."""
    keys = (sandbox.vendor_key, sandbox.provider_key)
    vendor, provider = (GuardedClient(sandbox.url, key, guard) for key in keys)
    return SharedPlatform(sandbox.url.rstrip("/"), vendor, provider, label)


def remove_leftovers(shared: Platform) -> str:
    """Remove what killed runs have left; return a sentence about it, empty if there was nothing.

    Call with the lease: no other run is going on then. The sandbox is restored as it was before a
    killed run, unless that would undo what somebody has done since.
    """
    stored = {row["name"]: row for row in shared.vendor.call("GET", "/sandbox/snapshots")}
    hooks = shared.webhooks()
    runs = {run_of(text) for text in (*stored, *(hook["label"] for hook in hooks))} - {""}
    restored = False
    for run in runs:
        before = stored.get(snapshot_before(run))
        if before and before["usable"] and _is_as_left(shared, run, before, hooks):
            shared.restore(before["name"])
            restored = True
        for hook in shared.webhooks():
            if hook["label"] == lease_note(run):
                shared.vendor.call("DELETE", f"{WEBHOOKS}/{hook['id']}")
        for name in {snapshot_base(run), snapshot_before(run)} & stored.keys():
            shared.forget(name)
    if not runs:
        return ""
    if restored:
        return "An earlier run of checks was killed: the sandbox was restored as it was before it."
    return (
        "An earlier run of checks was killed: its webhooks and snapshots were removed. The sandbox "
        "was not restored, because it has been changed since."
    )


def _is_as_left(shared: Platform, run: str, before: Json, hooks: Collection[Json]) -> bool:
    """Return whether nobody else has replaced the data, or changed them since the last check began.

    That is: created a webhook, or changed a request of a product that is not the run's own.
    """
    created, now = (datetime.fromisoformat(before[name]) for name in ("created", "now"))
    since = ""
    for entry in shared.entries("reset"):
        is_own = entry["data"]["snapshot"] == snapshot_base(run)
        if is_own:
            since = entry["cursor"]
        elif datetime.fromisoformat(entry["real_at"]) > created:
            return False
    added = shared.vendor.call("GET", f"/sandbox/snapshots/{before['name']}/diff/now")["added"]
    own_products = {row["id"] for row in added if row["type"] == "catalog.product"}
    if any(
        entry["data"]["product"] not in own_products
        and datetime.fromisoformat(entry["real_at"]) > created
        for entry in shared.entries("change", since)
    ):
        return False
    ids = {row["id"] for row in added if row["type"] == "webhooks.webhook"}
    # By time as well: the difference has a limited number of objects, and times have no fractions
    # of a second.
    return not any(
        hook["label"] != lease_note(run)
        and (hook["id"] in ids or datetime.fromisoformat(hook["created_at"]) > now)
        for hook in hooks
    )
