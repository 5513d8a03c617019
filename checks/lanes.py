"""Lanes: where checks run one after another. Several lanes run beside each other."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

from checks import extension_lab, handler_command, setup, sharing
from checks.client import ApiError, Client, accepts_connections
from checks.guard import Guard
from checks.handler_command import Connection, HandlerCommand
from checks.handler_process import HandlerError, HandlerProcess
from checks.lab import Lab
from checks.options import (
    ALL,
    EVENT,
    EXTENSION,
    VALIDATOR,
    Options,
    lease_note,
    new_name,
    snapshot_base,
    snapshot_before,
)
from checks.platform import Platform
from checks.setup import Target
from checks.sharing import Lease, LeaseLost
from checks.throwaway import CannotStart, Throwaway

# Seconds for which a handler makes no call of the API when it has started.
_AFTER_START = 0.3
# Settings of a sandbox with an extension: any free port, and checks know that a runner is gone.
_FOR_RUNNERS = {"SIM_TLS_PORT": "0", "SIM_RUNNER_GRACE": "1"}
# The runner takes these proxies also for this machine; its other calls know NO_PROXY.
_WITHOUT_PROXY = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), ""),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
}


class CannotRun(Exception):
    """The checks cannot begin, or cannot go on; the text says why in one sentence."""


class ThrowawayLane:
    """A sandbox in a temporary folder, and the handler as a process of ours."""

    note = ""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._resources = ExitStack()
        self._snapshot = f"check-{secrets.token_hex(4)}"
        self._server: Throwaway | None = None
        self._process: HandlerProcess | None = None
        self._lab: Lab | None = None

    def open(self) -> Lab:
        """Start the sandbox and the handler; raises CannotRun."""
        try:
            lab = self._lab = self._start(self._resources.enter_context(Guard()))
            # A handler may look for pending orders when it starts; there is none.
            lab.settle(_AFTER_START)
            _set_up_reseller(lab, self._options)
            lab.platform.save(self._snapshot)
        except (ApiError, CannotStart, HandlerError) as error:
            raise CannotRun(str(error)) from None
        return lab

    def _start(self, guard: Guard) -> Lab:
        """Start the sandbox and the handler; raises an error of one of them."""
        platform, key = self._start_sandbox(guard)
        process = self._prepare(guard, tuple(self._options.environment.items()))
        url = f"{process.url.rstrip('/')}{self._options.path}"
        target = _target(self._options, url, setup.new_secret())
        lab = setup.create(platform, target)
        # The webhook whose requests the handler serves.
        signer = lab.validator if target.is_validator and lab.validator else lab.signer
        process.start(
            Connection(platform.api_url, key, target.secret, signer.webhook_id, lab.product)
        )
        return self._ready(lab, process)

    def _start_sandbox(
        self, guard: Guard, settings: Mapping[str, str] | None = None
    ) -> tuple[Platform, str]:
        """Return the sandbox, and the vendor's API key as a header has it."""
        server = self._server = self._resources.enter_context(Throwaway(guard, (), settings))
        running = server.start()
        keys = running.vendor_api_key, running.provider_api_key
        platform = Platform(running.address, *(Client(running.address, key) for key in keys))
        return platform, f"ApiKey {running.vendor_api_key}"

    def _prepare(
        self,
        guard: Guard,
        variables: tuple[tuple[str, str], ...],
        is_ready: Callable[[], bool] | None = None,
    ) -> HandlerProcess:
        """Return the handler's process, which doesn't run yet."""
        options = self._options
        command = HandlerCommand(
            handler_command.split(options.run),
            options.cwd,
            variables,
            options.ready_url,
            options.start_timeout,
            is_ready,
        )
        self._process = self._resources.enter_context(HandlerProcess(command, guard))
        return self._process

    def _ready(self, lab: Lab, process: HandlerProcess) -> Lab:
        return _with_options(replace(lab, process=process, start_over=self.back), self._options)

    def back(self, *, after_failure: bool = False) -> None:
        """Restore the sandbox, and start the handler again if it has ended or a check has failed.

        Raises CannotRun, or OutOfTime while a check runs.
        """
        assert self._lab is not None and self._process is not None
        try:
            if after_failure:
                self._process.stop()
            is_alive = self._process.is_alive
            # Before the start, at which a handler may look for pending orders. One that has ended
            # does nothing more.
            settle = _settle_time(self._lab) if is_alive else 0.0
            self._lab.platform.restore(self._snapshot, settle=settle)
            if not is_alive:
                self._process.restart()
                self._lab.settle(_AFTER_START)
        except (ApiError, HandlerError) as error:
            raise CannotRun(str(error)) from None

    def choose(self, readings: Mapping[str, str]) -> None:
        """Choose alternatives of readings for all that follows; raises CannotRun."""
        _choose(self._lab, readings, self._snapshot)

    def output(self) -> str:
        """Return the end of what the handler printed, and the sandbox, if that has ended."""
        printed = self._process.output() if self._process else ""
        if self._server and self._server.has_ended:
            return f"{printed}\nThe sandbox has ended. Its log ends with:\n{self._server.log()}"
        return printed

    def interrupt(self) -> None:
        """Kill the sandbox and the handler, on which a check may wait."""
        if self._server:
            self._server.stop()
        if self._process:
            self._process.kill()

    def close(self) -> None:
        """Stop the handler and the sandbox, and remove the folder."""
        self._resources.close()


class ExtensionLane(ThrowawayLane):
    """A sandbox in a temporary folder, and the runner of an extension as a process of ours."""

    def _start(self, guard: Guard) -> Lab:
        platform, key = self._start_sandbox(guard, _FOR_RUNNERS)
        options = self._options
        lab, variables = setup.create_extension(platform, options.product, options.multi_account)
        variables |= _WITHOUT_PROXY
        process = self._prepare(
            guard,
            (*variables.items(), ("API_KEY", "{api_key}"), *options.environment.items()),
            lambda: extension_lab.is_connected(platform, lab.path),
        )
        began = time.monotonic()
        process.start(Connection(platform.api_url, key, lab.signer.secret, "", lab.product))
        user = key.removeprefix("ApiKey ").partition(":")[0]
        lab = replace(lab, user=user, start=time.monotonic() - began)
        return self._ready(lab, process)


class RunningLane:
    """A sandbox that runs already, which is restored at the end, and a handler that runs, too."""

    def __init__(self, options: Options) -> None:
        assert options.sandbox is not None
        self._options, self._sandbox = options, options.sandbox
        self._interrupted = threading.Event()
        self.note, name = "", options.name or new_name()
        self._before, self._base = snapshot_before(name), snapshot_base(name)
        self._label = lease_note(name)
        self._lease = Lease(Client(options.sandbox.url, options.sandbox.vendor_key), self._label)
        if options.keep:
            # A later run must not remove what the user keeps.
            self._before, self._label = f"before-kept-{self._base}", "Check"
        # For what has to be done also after an interruption.
        self._platform = sharing.platform(options.sandbox, self._label, self._lease.check)
        self._saved: list[str] = []
        self._lab: Lab | None = None

    def open(self) -> Lab:
        """Save the sandbox, and create what the checks need; raises CannotRun."""
        try:
            self._lease.take()
            self.note = sharing.remove_leftovers(self._platform)
            self._save(self._before)
            target = self._target()
            if not accepts_connections(target.url):
                raise CannotRun(
                    f"Nothing accepts connections at {target.url}. Is the handler running?"
                )
            platform = sharing.platform(self._sandbox, self._label, self._check)
            lab = replace(setup.create(platform, target), start_over=self.back)
            self._lab = _with_options(lab, self._options)
            _set_up_reseller(self._lab, self._options)
            self._save(self._base)
        except ApiError as error:
            raise CannotRun(str(error)) from None
        return self._lab

    def _check(self) -> None:
        """Raise ApiError once the checks may not go on."""
        if self._interrupted.is_set():
            raise ApiError("The run was interrupted.")
        self._lease.check()

    def _target(self) -> Target:
        options = self._options
        url, secret, product = options.url, options.secret, options.product
        if options.webhook:
            row = self._platform.webhook(options.webhook)
            url, secret = url or row["external_url"], secret or row["jwt_secret"]
            product = product or row["product"]["id"]
        return replace(_target(options, url, secret), product=product)

    def _save(self, name: str) -> None:
        self._platform.save(name)
        self._saved.append(name)

    def back(self, *, after_failure: bool = False) -> None:
        """Restore the sandbox; raises CannotRun if it or the handler is gone.

        A handler that a check has failed may repeat its work later, as long as a pause after errors
        grows: the next check would take that for an effect of its own requests.
        """
        assert self._lab is not None
        try:
            self._lease.renew()
            self._platform.restore(self._base, settle=_settle_time(self._lab))
            if after_failure and self._options.type != VALIDATOR:
                _let_recover(self._lab)
                self._platform.restore(self._base, settle=_settle_time(self._lab))
        except ApiError as error:
            raise CannotRun(str(error)) from None
        if not accepts_connections(self._lab.handler.url):
            raise CannotRun(f"The handler at {self._lab.handler.url} accepts connections no more.")

    def choose(self, readings: Mapping[str, str]) -> None:
        """Choose alternatives of readings for all that follows; raises CannotRun."""
        _choose(self._lab, readings, self._base)

    def output(self) -> str:
        """Return nothing: the handler is not a process of ours."""
        return ""

    def interrupt(self) -> None:
        """End the wait for the lease, or let the next call of a check fail.

        Requests in flight end by their timeouts.
        """
        self._interrupted.set()
        self._lease.cancel()

    def close(self) -> None:
        """Restore the sandbox as it was before, unless it is to be kept; raises CannotRun.

        Without a valid lease, nothing is restored or deleted: somebody else may use the sandbox.
        """
        if not self._lease.is_taken:
            return
        platform = self._platform
        try:
            self._lease.renew()
            if self._before in self._saved and not self._options.keep:
                platform.restore(self._before)
            for name in self._saved:
                if name == self._base or not self._options.keep:
                    platform.forget(name)
            self._lease.release()
        except LeaseLost as error:
            raise CannotRun(str(error)) from None
        except ApiError as error:
            raise CannotRun(
                f"The sandbox is not as it was before ({error}). Restore it: "
                f"connect-sim snapshot restore {self._before}"
            ) from None
        finally:
            self._lease.stop()


def _settle_time(lab: Lab) -> float | None:
    """Return the settle time for a restore; None: what the sandbox has learned.

    It learns from a handler that polls that its calls have the gap of its polling, so that a
    restore would wait for a pause that never comes.
    """
    return lab.timing.quiet if lab.timing.interval else None


def _let_recover(lab: Lab) -> None:
    """Let a handler process an order, after which it has nothing left to repeat."""
    order = lab.order()
    if lab.send().is_success:
        lab.wait_finished([order])
    lab.settle()


def _target(options: Options, url: str, secret: str) -> Target:
    return Target(
        url,
        secret,
        options.method,
        options.product,
        options.webhook,
        has_validator=options.type in (VALIDATOR, ALL),
        is_validator=options.type == VALIDATOR,
        parameters=tuple(options.invalid),
    )


def _with_options(lab: Lab, options: Options) -> Lab:
    return replace(lab, options=options, is_deep=options.deep, invalid=dict(options.invalid))


def _set_up_reseller(lab: Lab, options: Options) -> None:
    setup.set_up_reseller(lab, calls_handler=options.type in (EVENT, ALL))


def _choose(lab: Lab | None, readings: Mapping[str, str], base: str) -> None:
    assert lab is not None
    try:
        lab.platform.choose(readings)
        lab.platform.save(base)
    except ApiError as error:
        raise CannotRun(str(error)) from None


class Lane(Protocol):
    """One sandbox with one handler."""

    note: str

    def open(self) -> Lab: ...

    def back(self, *, after_failure: bool = False) -> None: ...

    def choose(self, readings: Mapping[str, str]) -> None: ...

    def output(self) -> str: ...

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


def create(options: Options) -> list[Lane]:
    """Return the lanes of a run."""
    if options.run:
        lane = ExtensionLane if options.type == EXTENSION else ThrowawayLane
        return [lane(options) for _ in range(max(1, options.jobs))]
    return [RunningLane(options)]
