"""One call under way: it always ends in a Finished, whatever the handler or the clock does."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from webhooks import calls, retry
from webhooks.calls import Claimed, Finished
from webhooks.tokens import SecretRefused
from webhooks.transport import CallFailed, Transport

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Flight:
    """A call under way, and the task that makes it."""

    claimed: Claimed
    task: asyncio.Task[None] | None = None
    # Set where the platform's time has passed the deadline of a call that really still hangs.
    cut: bool = False

    def is_overdue(self, now: datetime) -> bool:
        """Whether the platform's time has passed the call's deadline."""
        return self.claimed.started_at + timedelta(seconds=settings.SIM_HTTP_TIMEOUT) <= now

    async def fly(self, transport: Transport) -> Finished:
        """Make the call and return how it ended."""
        began = time.monotonic()
        outcome, error, prepared, answer = retry.FAILURE, "", None, None
        try:
            prepared = calls.prepare(self.claimed)
            answer = await transport.call(prepared.call, timeout=settings.SIM_HTTP_TIMEOUT)
            outcome, error = calls.judge(answer)
        except SecretRefused as refused:
            error = str(refused)
        except CallFailed as failed:
            error, answer = str(failed), failed.answer
        except asyncio.CancelledError:
            outcome, error = self._cancelled()
        except Exception:
            # Whatever went wrong is ours, and must not stop the other calls.
            logger.exception("A call failed in an unexpected way.")
            error = "The call failed in an unexpected way; the log of the worker says more."
        duration = settings.SIM_HTTP_TIMEOUT if self.cut else time.monotonic() - began
        return Finished(self.claimed, outcome, round(duration * 1000), prepared, answer, error)

    def _cancelled(self) -> tuple[str, str]:
        if self.cut:
            return retry.FAILURE, (
                f"There was no complete answer within {settings.SIM_HTTP_TIMEOUT:g} s."
            )
        return retry.UNKNOWN, (
            "The sandbox stopped during the call; what the handler answered is unknown."
        )
