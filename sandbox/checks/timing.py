"""How long a handler takes, measured by a genuine request, and what checks derive from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.checks.history import Call

# Seconds without an API call after which a handler counts as quiet.
_SHORTEST, _LONGEST = 0.2, 10.0
_FACTOR = 4
# Work that is expected is waited for so long, after a response of success.
_PATIENCE, _PATIENCE_FACTOR = 5.0, 5
# The barrier of a race opens after so many seconds without a byte from the second run.
_BARRIER, _BARRIER_FACTOR = 2.0, 10
# A request whose response takes longer is abandoned.
_RESPONSE, _RESPONSE_FACTOR = 10.0, 10


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of real time: until the response, until the work was done, the longest gap in it."""

    response: float
    work: float
    gap: float

    @property
    def quiet(self) -> float:
        """Seconds without an API call after which nothing more is expected."""
        return min(_LONGEST, max(_SHORTEST, _FACTOR * self.gap))

    @property
    def patience(self) -> float:
        """Seconds within which a handler that responded must have done its work."""
        return max(_PATIENCE, _PATIENCE_FACTOR * self.work)

    @property
    def barrier(self) -> float:
        """Seconds after which a second run that brings no byte counts as waiting for the first."""
        return max(_BARRIER, _BARRIER_FACTOR * self.gap)

    @property
    def deadline(self) -> float:
        """Seconds after which a response is not expected any more."""
        return max(_RESPONSE, _RESPONSE_FACTOR * self.response)


# Before the first measurement: generous.
UNKNOWN = Timing(3.0, 3.0, 0.5)


def measure(began: float, response: float, calls: Sequence[Call]) -> Timing:
    """Return the timing of a request sent at `began` (Unix time), with its API calls in order."""
    gap, at = 0.0, began
    for call in sorted(calls, key=lambda call: call.began):
        gap = max(gap, call.began - at)
        at = max(at, call.began + call.seconds)
    # A handler that responds when its work is done has one more gap.
    gap = max(gap, began + response - at)
    return Timing(response, max(at - began, response), gap)
