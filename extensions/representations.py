"""What the API shows of extensions: services, environments, tasks, schedules, installations."""

from __future__ import annotations

from typing import Any, Literal

from extensions.models import (
    LOG_LEVEL,
    Environment,
    Extension,
    Installation,
    Schedule,
    Task,
    Variable,
)
from requests_queue.api.resources import NAMED, Field, Many, Part, Resource, event_at
from requests_queue.api.schema import Free as FreeJson
from requests_queue.api.schema import Json

VARIABLE = Resource(
    "Variable",
    "A variable of an environment; the value of a secure one is shown to nobody.",
    {
        "id": Field(str, "shown_id"),
        "name": str,
        "value": Field(str, lambda row: "*" * 8 if row.secure else row.value),
        "secure": bool,
    },
    model=Variable,
    also={"id": "id"},
)
_SET = Part("SetVariable", "A variable.", {key: VARIABLE.keys[key] for key in ("name", "value")})
_REFERENCE = Part(
    "EnvironmentReference",
    "A reference to an environment.",
    {
        "id": str,
        "type": Field(Literal["development"], lambda row: "development"),
        "extension": Field(NAMED),
        "runtime": Field(Literal["local"], lambda row: "local"),
        "hostname": Field(str, lambda row: ""),
        "domain": Field(str, lambda row: ""),
    },
    named=("id",),
)
_INSTANCE = Part(
    "ExtensionInstance",
    "A runner's process for one kind of task.",
    {
        "id": Field(str, "uid"),
        "runtime": Field(Literal["local"], lambda row: "local"),
        "status": Field(
            Literal["connected", "disconnected"],
            lambda row: "connected" if row.connection else "disconnected",
        ),
    },
)
ENVIRONMENT = Resource(
    "Environment",
    "Where an extension runs: here, the machine of its developer.",
    {
        "id": str,
        "type": Field(Literal["development"], lambda row: "development"),
        "runtime": Field(Literal["local"], lambda row: "local"),
        "status": Field(
            Literal["uninitialized", "connected", "disconnected"],
            lambda row: _status(list(row.instances.all())),
        ),
        "log_level": Field(str, lambda row: LOG_LEVEL),
        "hostname": Field(str, lambda row: ""),
        "domain": Field(str, lambda row: ""),
        "schedulables": Field(list[FreeJson], unfiltered=True),
        "configuration": Many(_SET, lambda row: row.variables.all()),
        "instances": Many(_INSTANCE, lambda row: row.instances.all()),
        "extension": Field(NAMED),
    },
    model=Environment,
)


def _status(instances: list[Any]) -> str:
    if not instances:
        return "uninitialized"
    return "connected" if any(each.connection for each in instances) else "disconnected"


def _environments(row: Extension) -> Json:
    [each] = row.environments.all()
    status = _status(list(each.instances.all()))
    shown = {"id": each.pk, "type": "development", "runtime": "local", "status": status}
    return {"development": shown}


SERVICE = Resource(
    "Service",
    "An extension that an account develops.",
    {
        "id": str,
        "type": Literal["products", "hub", "multiaccount"],
        "name": str,
        "products": Many(NAMED, lambda row: row.products.all()),
        "owner": Field(NAMED, "account"),
        "environments": Field(FreeJson, lambda row: _environments(row)),
    },
    model=Extension,
    search=("id", "name"),
)
_OBJECT = Part(
    "TaskObject",
    "The object that a task is about, its event type and category.",
    {"id": Field(str, "object_id"), "type": Field(str, "event_type"), "category": str},
)
_INSTALLED = Part(
    "InstallationReference", "A reference to an installation.", {"id": str}, named=("id",)
)
TASK = Resource(
    "ExtensionTask",
    "A task of an extension; `runtime_total` in seconds.",
    {
        "id": Field(str, "shown_id"),
        "object": Field(_OBJECT, "."),
        "assignee": Field(str, lambda row: row.instance.uid if row.instance else ""),
        "status": Literal[
            "scheduled",
            "rescheduled",
            "processing",
            "succeeded",
            "failed",
            "retrying",
            "skipped",
        ],
        "output": Field(str, unfiltered=True),
        "environment": Field(_REFERENCE),
        "installation": Field(_INSTALLED),
        "owner": Field(NAMED, "environment.extension.account", unfiltered=True),
        "events": Field(FreeJson, lambda row: _events(row)),
        "retry_count": int,
        "rescheduled_count": int,
        "runtime_total": float,
    },
    model=Task,
    also={"id": "id"},
)


def _events(row: Task) -> Json:
    moments = {
        "created": row.created_at,
        "rescheduled": row.due_at,
        "assigned": row.started_at,
        "completed": row.finished_at,
    }
    return {name: event_at(at) for name, at in moments.items() if at is not None}


INSTALLATION = Resource(
    "Installation",
    "What an account has installed.",
    {
        "id": str,
        "environment": Field(_REFERENCE),
        "owner": Field(NAMED, "account"),
        "settings": Field(FreeJson, unfiltered=True),
        "status": Literal["installed", "uninstalled"],
        "events": Field(FreeJson, lambda row: _installation_events(row)),
    },
    model=Installation,
)


def _installation_events(row: Installation) -> Json:
    moments = {"installed": row.created_at, "uninstalled": row.uninstalled_at}
    return {name: event_at(at) for name, at in moments.items() if at is not None}


SCHEDULE = Resource(
    "Schedule",
    "When a method of an extension is called.",
    {
        "id": Field(str, "shown_id"),
        "name": str,
        "description": str,
        "method": str,
        "parameter": Field(FreeJson, unfiltered=True),
        "trigger": Field(FreeJson, unfiltered=True),
        "status": Field(
            Literal["enabled", "disabled"], lambda row: "enabled" if row.enabled else "disabled"
        ),
        "environment": Field(_REFERENCE),
        "events": Field(
            FreeJson,
            lambda row: {
                "created": event_at(row.created_at),
                **({"next_trigger": event_at(row.next_at)} if row.next_at else {}),
            },
        ),
    },
    model=Schedule,
    also={"id": "id"},
)
KEY = Part(
    "InstallationKey",
    "A key that acts for the account of an installation, for an hour.",
    {"installation_api_key": str},
)
DEFINITION = Part(
    "ExtensionEventDefinition",
    "An event type, and the statuses that an extension can subscribe to.",
    {
        "type": str,
        "name": str,
        "description": Field(str, "name"),
        "category": str,
        "group": str,
        "object_statuses": Field(list[str], lambda row: list(row.statuses)),
    },
)
