"""What the actions of helpdesk cases write beside the state."""

from __future__ import annotations

from typing import Any

from requests_queue import clock
from requests_queue.api.fields import Digits, Input, Text
from requests_queue.queues.base import Context
from requests_queue.queues.helpdesk.models import CLOSED, RATINGS, Case


class ClosingInput(Input):
    """How satisfied the issuer is, from 1 (very poor) to 5 (very high), and a comment."""

    rating = Digits(RATINGS[0], RATINGS[-1], allow_null=True)
    feedback = Text(10_000)


def enter(state: str, case: Case, context: Context) -> dict[str, Any]:
    """Return the columns of a case that comes into a state.

    A party without an agent is represented by the user who acts for it.
    """
    user, account = context.actor.user, context.actor.account
    columns: dict[str, Any] = {
        f"{state}_at": clock.shown(context.now),
        f"{state}_by": user,
        "updated_by": user,
        # `transitions` would assign the vendor's user, who may be the issuer's.
        "assignee": case.assignee,
    }
    if account is not None:
        agent = "assignee" if account.pk == case.receiver_id else "issuer_agent"
        columns[agent] = getattr(case, agent) or user
    return columns


def close(case: Case, context: Context) -> dict[str, Any]:
    """Return the columns of a closed case, with rating and feedback if they are given."""
    return enter(CLOSED, case, context) | dict(context.data)
