"""How far a run is, as its row stores it: a pure function of its events.

{"checks": ["auth.control", …], "running": ["auth.no_header"],
 "results": [{"check", "title", "level", "mark", "text", "seconds"}, …]}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from checks.outputs import events
from requests_queue.redaction import Redaction

Progress = Mapping[str, Any]
_RESULT = ("check", "title", "level", "mark", "text", "seconds")


def apply(progress: Progress, event: Mapping[str, Any], secrets: Collection[str] = ()) -> Progress:
    """Return the progress after an event, without secrets; the report's changes nothing."""
    kind, running = event["event"], list(progress.get("running", []))
    if kind == events.BEGUN:
        return {"checks": event["checks"], "running": [], "results": []}
    if kind == events.STARTED:
        return {**progress, "running": [*running, event["check"]]}
    if kind == events.ENDED:
        result = {name: event[name] for name in _RESULT}
        result["text"] = Redaction(secrets).text(result["text"])
        return {
            **progress,
            "running": [each for each in running if each != event["check"]],
            "results": [*progress.get("results", []), result],
        }
    return progress
