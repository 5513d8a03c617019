"""Runs of checks as the API shows them, and which webhooks can be checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import Annotated, Any

from django.db.models import QuerySet, Subquery

from checks.catalog import BY_ID
from checks.options import EVENT, VALIDATOR
from checks.outputs import json_report
from checks.outputs.json_report import BadReport
from checks.outputs.marks import Mark
from requests_queue.api.resources import Field, Many, Part
from requests_queue.api.schema import FROM_OUTSIDE, Also, Untrusted
from requests_queue.catalog.models import Account
from sandbox.models import CheckRun
from sandbox.timeline.timeline import Moment, moment
from webhooks.models import Webhook

# Checks create purchases, so they are about webhooks of subscription requests.
_CHECKED = "fulfillment_request"
_STATES = (CheckRun.RUNNING, CheckRun.FINISHED, CheckRun.FAILED, CheckRun.CANCELLED)
# Marks of results that are counted only.
_UNREMARKABLE = (Mark.PASS, Mark.SKIPPED)


def checkable_webhooks() -> QuerySet[Webhook]:
    """Return the webhooks that can be checked: those that the vendor's key reads."""
    owner = Subquery(key_owners().values("pk")[:1])
    return Webhook.objects.filter(
        account_id=owner, object_class=_CHECKED, type__in=(EVENT, VALIDATOR)
    )


def key_owners() -> QuerySet[Account]:
    """Return the vendors; the API key of the first one is in sandbox.json."""
    # In the order of the command `sandbox`, which makes the key.
    return Account.objects.filter(type="vendor").order_by("created", "pk")


@dataclass(frozen=True)
class ShownRun:
    """A run, and its results so far; the evidence is in the report, which exists at the end."""

    row: CheckRun

    @property
    def total(self) -> int:
        """Return how many checks it consists of, 0 while that is unknown."""
        return len(self.row.progress.get("checks", []))

    @property
    def counts(self) -> Mapping[str, int]:
        """Return the number of results by mark."""
        return Counter(each["mark"] for each in self.row.progress.get("results", []))

    @property
    def results(self) -> list[dict[str, Any]]:
        """Return the results that somebody has to read, with advice and evidence."""
        return [
            {
                **each,
                "why": BY_ID[each["check"]].why if each["check"] in BY_ID else "",
                "fix": BY_ID[each["check"]].fix if each["check"] in BY_ID else "",
                "evidence": self._evidence.get(each["check"], []),
            }
            for each in self.row.progress.get("results", [])
            if each["mark"] not in _UNREMARKABLE
        ]

    @cached_property
    def _evidence(self) -> dict[str, list[dict[str, Any]]]:
        try:
            results = json_report.read(self.row.report).results if self.row.report else ()
        except BadReport:
            # A report of another version.
            return {}
        return {
            each.check.id: [
                {"title": exhibit.title, "lines": list(exhibit.lines)}
                for exhibit in each.verdict.evidence
            ]
            for each in results
        }


_TEXTS = dict.fromkeys(("check", "title", "level", "mark", "why", "fix"), str)
_EVIDENCE = Annotated[list[dict[str, Any]], FROM_OUTSIDE]
CHECK_RUN = Part(
    "CheckRun",
    "A run of checks: `total` checks, their `counts` by mark, and the results that are neither "
    "pass nor skipped. Times are real; `error` says why it has ended early.",
    {
        "id": Field(int, "row.pk"),
        "webhook": Field(str, "row.webhook_id"),
        "state": Field(Annotated[str, Also(enum=list(_STATES))], "row.state"),
        "exit_code": Field(int | None, "row.exit_code"),
        "started_at": moment("row.started_at"),
        "ended_at": moment("row.ended_at", Moment | None),
        "total": int,
        "counts": dict[str, int],
        "error": Field(Untrusted, "row.error"),
        "results": Many(
            Part(
                "CheckResult",
                "The result of a check: what it found, why it matters, and how to fix it.",
                {
                    **{name: Field(type, itemgetter(name)) for name, type in _TEXTS.items()},
                    "text": Field(Untrusted, itemgetter("text")),
                    "evidence": Field(_EVIDENCE, itemgetter("evidence")),
                },
            ),
            attrgetter("results"),
        ),
    },
)
