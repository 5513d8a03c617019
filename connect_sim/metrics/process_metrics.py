"""The metrics of one process, counted where the work is done.

Labels have few values, none of which comes from a request or a row: no id, URL or text. Attempts
are counted after the commit that records them.
"""

from __future__ import annotations

import time
from collections import Counter as Multiset
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.dispatch import Signal
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from connect_sim.metrics.names import PREFIX
from webhooks import states
from webhooks.delivery import engine, validators, wakeup
from webhooks.delivery.attempt import AttemptResult, RecordedAttempt
from webhooks.delivery.claim import Claim
from webhooks.http import errors
from webhooks.signals import (
    attempts_recorded,
    attempts_started,
    claiming_deliveries,
    engine_woken,
    flush_failed,
    recording_attempts,
    request_sent,
)
from webhooks.types import EVENT

EVENTS, VALIDATORS = "event", "validator"
# Seconds. Lateness is measured beyond an hour, since an outage may last longer than a request.
_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_LAGS = (
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    15,
    30,
    60,
    120,
    300,
    600,
    1200,
    1800,
    3600,
    7200,
)
_API_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
# Classes of error that are not those of a request without a complete response.
_NONE, _RESPONSE, _LOST = "none", "response", "worker_lost"
_STATUS = {3: "http_3xx", 4: "http_4xx", 5: "http_5xx"}
_FAILURES = (*errors.ERROR_CLASSES, *_STATUS.values(), _RESPONSE)


def error_class(result: AttemptResult) -> str:
    """Return the class of error of an attempt.

    One of errors.ERROR_CLASSES, `http_4xx` and the like for a status, `response` for a
    validator's 2xx that can't be used, `worker_lost`, or `none`.
    """
    if result.outcome == states.SUCCESS:
        return _NONE
    if result.outcome == states.UNKNOWN:
        return errors.STOPPED if result.stopped else _LOST
    if result.error_class:
        return result.error_class
    if result.response is None:
        return errors.INTERNAL
    status = result.response.status // 100
    return _RESPONSE if status == 2 else _STATUS.get(status, errors.PROTOCOL)


def buckets(limit: float) -> list[float]:
    """Return the buckets of a request's duration, up to its timeout in seconds."""
    return [*(bound for bound in _DURATIONS if bound < limit), limit]


class ProcessMetrics:
    """The metrics and their registry; `connect` makes the parts of the process report to them."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        counter = partial(Counter, namespace=PREFIX, registry=registry)
        histogram = partial(Histogram, namespace=PREFIX, registry=registry)
        gauge = partial(Gauge, namespace=PREFIX, registry=registry)
        build = gauge("build_info", "Always 1, with the version.", ["version", "profile"])
        build.labels(settings.VERSION, settings.SIM_PROFILE).set(1)
        self._attempts = counter(
            "attempts", "Recorded attempts, by outcome and class of error.", ["outcome", "error"]
        )
        self._durations = histogram(
            "request_duration_seconds",
            "Duration of requests to handlers, until the complete response or the failure.",
            ["kind"],
            buckets=buckets(max(settings.SIM_HTTP_TIMEOUT, settings.SIM_VALIDATION_TIMEOUT)),
        )
        self._lag = histogram(
            "delivery_lag_seconds",
            "Time from when a delivery was due to the first byte of its request.",
            buckets=_LAGS,
        )
        in_flight = gauge("requests_in_flight", "Requests without a complete response.", ["kind"])
        in_flight.labels(EVENTS).set_function(engine.requests_in_flight)
        in_flight.labels(VALIDATORS).set_function(validators.requests_in_flight)
        self._claims = counter("claims", "Times that an engine looked for due deliveries.")
        self._claimed = counter("deliveries_claimed", "Deliveries that were claimed.")
        self._flushes = counter("flushes", "Transactions that record attempts, with failed ones.")
        self._failed = counter("flushes_failed", "Flushes that could not store every attempt.")
        self._wakeups = counter("wakeups", "Times that the engine was woken, by cause.", ["kind"])
        self._requests = counter(
            "api_requests",
            "API requests, by method, route and class of status.",
            ["method", "route", "status"],
        )
        self._request_durations = histogram(
            "api_request_duration_seconds",
            "Duration of API requests in Django.",
            buckets=_API_DURATIONS,
        )
        self._initialize()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def _initialize(self) -> None:
        """Create the series whose labels are known, so that their first increase is seen."""
        self._by_error = {
            (outcome, error): self._attempts.labels(outcome, error)
            for outcome, errors in (
                (states.SUCCESS, [_NONE]),
                (states.FAILURE, _FAILURES),
                (states.UNKNOWN, [errors.STOPPED, _LOST]),
            )
            for error in errors
        }
        self._by_cause = {kind: self._wakeups.labels(kind) for kind in wakeup.KINDS}
        self._by_kind = {kind: self._durations.labels(kind) for kind in (EVENTS, VALIDATORS)}

    def connect(self) -> None:
        """Count from now on; signals hold their receivers weakly, so keep this object."""
        for signal, receiver in self._receivers():
            signal.connect(receiver)

    def disconnect(self) -> None:
        """Count no more."""
        for signal, receiver in self._receivers():
            signal.disconnect(receiver)

    def _receivers(self) -> tuple[tuple[Signal, Callable[..., None]], ...]:
        return (
            (attempts_recorded, self._count_attempts),
            (attempts_started, self._count_claims),
            (claiming_deliveries, self._count_claim),
            (recording_attempts, self._count_flush),
            (flush_failed, self._count_failed_flush),
            (engine_woken, self._count_wakeup),
            (request_sent, self._observe_lag),
        )

    def count_request(self, method: str, route: str, status: str, seconds: float) -> None:
        """Count an API request; the texts are labels."""
        self._requests.labels(method, route, status).inc()
        self._request_durations.observe(seconds)

    def _count_attempts(self, attempts: Sequence[RecordedAttempt], **kwargs: Any) -> None:
        results = [attempt.result for attempt in attempts]
        transaction.on_commit(partial(self._count_results, results), robust=True)

    def _count_results(self, results: Sequence[AttemptResult]) -> None:
        counts = Multiset((result.outcome, error_class(result)) for result in results)
        for key, count in counts.items():
            self._by_error[key].inc(count)
        for result in results:
            if result.outcome != states.UNKNOWN:
                kind = EVENTS if result.claim.webhook.type == EVENT else VALIDATORS
                self._by_kind[kind].observe(result.duration / 1000)

    def _count_claims(self, claims: Sequence[Claim], **kwargs: Any) -> None:
        transaction.on_commit(partial(self._claimed.inc, len(claims)), robust=True)

    def _count_claim(self, **kwargs: Any) -> None:
        self._claims.inc()

    def _count_flush(self, **kwargs: Any) -> None:
        self._flushes.inc()

    def _count_failed_flush(self, **kwargs: Any) -> None:
        self._failed.inc()

    def _count_wakeup(self, kind: str, **kwargs: Any) -> None:
        self._by_cause[kind].inc()

    def _observe_lag(self, claim: Claim, **kwargs: Any) -> None:
        if claim.due is not None:
            self._lag.observe(max(0.0, time.monotonic() - claim.due))
