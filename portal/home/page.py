"""What the first page shows of an account: how things run, what happened, what is broken."""

from __future__ import annotations

from typing import Any

from portal.home import first_steps, last_hour, system_status
from requests_queue import clock, first_order, jobs
from requests_queue.catalog.models import Account
from webhooks import conf, webhook_health
from webhooks.delivery.next_attempt import WorkerLoad

_TROUBLES = 10


def live(account: Account) -> dict[str, Any]:
    """Return what changes while the page is looked at."""
    now, load = clock.now(), WorkerLoad()
    troubles = webhook_health.failing(account, _TROUBLES + 1)
    return {
        "lights": system_status.components(),
        "failed_jobs": jobs.failures(),
        "chart": last_hour.draw(webhook_health.last_hour(account, now)),
        "troubles": [(one, one.next(now, load)) for one in troubles],
        "now": now,
        "most": _TROUBLES,
        "progress": first_steps.progress(account),
    }


def whole(account: Account) -> dict[str, Any]:
    """Return all of it, with the way to the first delivery for whoever has had none."""
    found = live(account)
    if found["progress"].wanted:
        body = first_order.body(account)
        key = "KEY-OF-THE-DISTRIBUTOR"
        url = conf.api_url().removesuffix("/public/v1")
        found["ready"] = next(iter(first_steps.READY_HANDLERS), None)
        found["curl"] = first_order.curl(url, key, body) if body else ""
    return found
