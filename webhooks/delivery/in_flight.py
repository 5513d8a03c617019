"""One call under way: it always ends in a Finished, whatever the handler or the clock does."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from webhooks.delivery import calls, retry
from webhooks.delivery.calls import Claimed, Finished
from webhooks.delivery.tokens import SecretRefused
from webhooks.http.client import READ_CAP, CallFailed, Transport

logger = logging.getLogger(__name__)

_STOPPED = "The sandbox stopped during the call; what the handler answered is unknown."
_BROKEN = "The call failed in an unexpected way; the log of the worker says more."


@dataclass(slots=True)
class Flight:
    """A call under way, and the task that makes it."""

    claimed: Claimed
    # What is sent in place of the payload, and how much of the answer is read.
    body: bytes | None = None
    read_cap: int = READ_CAP
    # Seconds; None is that of the settings for wake-up calls.
    timeout: float | None = None
    task: asyncio.Task[Finished] | None = None
    # Set where the platform's time has passed the deadline of a call that really still hangs.
    cut: bool = False

    @property
    def limit(self) -> float:
        """How many seconds the call may take."""
        return settings.SIM_HTTP_TIMEOUT if self.timeout is None else self.timeout

    @property
    def deadline(self) -> datetime:
        """Return when the request times out, by the platform's time."""
        return self.claimed.started_at + timedelta(seconds=self.limit)

    async def fly(self, transport: Transport) -> Finished:
        """Make the call and return how it ended."""
        began = time.monotonic()
        outcome, error, told, prepared, answer = retry.FAILURE, "", "", None, None
        try:
            prepared = calls.prepare(self.claimed, self.body)
            answer = await transport.call(prepared.call, timeout=self.limit, read_cap=self.read_cap)
            outcome, error = calls.judge(answer)
        except SecretRefused as refused:
            error, told = str(refused), "The call could not be signed."
        except CallFailed as failed:
            error, told, answer = str(failed), failed.told, failed.answer
        except asyncio.CancelledError:
            outcome, error = self._cancelled()
        except Exception:
            # Whatever went wrong is ours, and must not stop the other calls.
            logger.exception("A call failed in an unexpected way.")
            error = _BROKEN
        duration = self.limit if self.cut else time.monotonic() - began
        return Finished(
            self.claimed, outcome, round(duration * 1000), prepared, answer, error, told,
            stopped=outcome == retry.UNKNOWN,
        )  # fmt: skip

    def lost(self) -> Finished:
        """Return a call that was stopped before it could say how it ended."""
        return Finished(self.claimed, retry.UNKNOWN, 0, error=_STOPPED, stopped=True)

    def _cancelled(self) -> tuple[str, str]:
        if self.cut:
            return retry.FAILURE, f"There was no complete answer within {self.limit:g} s."
        return retry.UNKNOWN, _STOPPED


def failed(claimed: Claimed) -> Finished:
    """Return a call that an error of the program ended, before or after it was sent."""
    return Finished(claimed, retry.FAILURE, 0, error=_BROKEN)
