"""Helpdesk cases and their attachments.

`GET /helpdesk/cases/{id}` and `GET /helpdesk/cases/{id}/attachments/{id}` of Connect's OpenAPI
document.
"""

from __future__ import annotations

from requests_queue.api.resources import Field, Many, Part, Resource
from requests_queue.api.schema import Stamp
from requests_queue.catalog.representations import PICTURED
from requests_queue.queues.helpdesk import attachments
from requests_queue.queues.helpdesk.models import (
    STATES,
    Attachment,
    Case,
    Priority,
    Rating,
    State,
    Type,
)

_USER = Part(
    "HelpdeskUser",
    "A user of a party.",
    {"id": Field(str, "uid"), "name": Field(str, unfiltered=True)},
)


def _moment(name: str, at: str) -> Part:
    return Part(
        "HelpdeskMoment",
        "A moment, and whose; the platform is nobody.",
        {"at": Field(Stamp, at), "by": Field(_USER, f"{name}_by", optional=True)},
    )


def _state(name: str) -> Field:
    """Return the moment when a case came into a state last; left out before the first time."""
    return Field(
        _moment(name, f"{name}_at"),
        lambda row: row if getattr(row, f"{name}_at") else None,
        optional=True,
    )


def _party(name: str, agent: str, people: str) -> Part:
    return Part(
        "HelpdeskParty",
        "A party of a case: the account, the user who works on it, and who else is notified of it.",
        {
            "account": Field(PICTURED, name),
            "agent": Field(_USER, agent, optional=True),
            "recipients": Many(_USER, lambda row: getattr(row, people).all()),
        },
    )


CASE = Resource(
    "HelpdeskCase",
    "A question or problem that one partner has brought to another.",
    {
        "id": str,
        "product": Field(PICTURED, optional=True),
        "subject": str,
        "description": str,
        "priority": Priority,
        "state": Field(State, "status"),
        "type": Type,
        "issuer": _party("issuer", "issuer_agent", "issuer_recipients"),
        "receiver": _party("receiver", "assignee", "receiver_recipients"),
        "events": Part(
            "HelpdeskCaseEvents",
            "The moments of a case.",
            {
                "created": _moment("created", "created"),
                "updated": _moment("updated", "updated"),
                **{name: _state(name) for name in STATES},
            },
        ),
        "rating": Rating | None,
        "feedback": Field(str | None, lambda row: row.feedback or None),
    },
    model=Case,
    search=("subject", "description"),
    also={
        **{f"events.{name}.at": f"{name}_at" for name in STATES},
        **{f"events.{name}.by.id": f"{name}_by__uid" for name in STATES},
        # Annotations of the view: names are computed of two columns.
        **{
            f"events.{name}.by.name": Field(str, f"{name}_by_name")
            for name in ("created", "updated", *STATES)
        },
        "issuer.agent.name": Field(str, "issuer_agent_name"),
        "receiver.agent.name": Field(str, "assignee_name"),
    },
)
# The users of a case whose names it is filtered by.
NAMED = ("issuer_agent", "assignee", *(f"{each}_by" for each in ("created", "updated", *STATES)))

ATTACHMENT = Resource(
    "HelpdeskAttachment",
    "A file of a case; `attachment` and `preview` are paths relative to the host.",
    {
        "id": str,
        "account": Field(PICTURED),
        "attachment": Field(str, lambda row: attachments.address(row, attachments.ATTACHMENT)),
        "size": int,
        "preview": Field(
            str | None,
            lambda row: attachments.address(row, attachments.PREVIEW) if row.preview_type else None,
        ),
        "name": str,
        "events": Part(
            "HelpdeskAttachmentEvents",
            "The moment of an upload.",
            {"created": _moment("created", "created")},
        ),
        "type": str,
    },
    model=Attachment,
)
