"""`/devops`: what the published runner and extensions call of Connect's API."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from extensions import actions, definitions, dispatch, inputs, schedules, triggers
from extensions.models import (
    INSTALLED,
    PRODUCTS,
    Environment,
    Extension,
    Installation,
    Schedule,
    Task,
    Variable,
)
from extensions.representations import (
    DEFINITION,
    ENVIRONMENT,
    INSTALLATION,
    KEY,
    SCHEDULE,
    SERVICE,
    TASK,
    VARIABLE,
)
from extensions.signals import configured, wake
from requests_queue import clock
from requests_queue.api.schema import Answer, Documented, Json
from requests_queue.catalog.models import Account
from requests_queue.catalog.rest import Collection
from requests_queue.catalog.views.reference_lists import ReferenceList
from requests_queue.errors import ActionNotAllowed, Invalid, Missing


class Services(Collection):
    """`/devops/services`, of the account that develops them."""

    documented = Documented("DevOps", "service", SERVICE)
    bodies = {"create": inputs.ServiceInput()}
    related = ("account",)

    def visible(self) -> QuerySet[Extension]:
        """Return the account's extensions."""
        return Extension.objects.filter(account=self.account)

    def complete(self, rows: QuerySet[Extension]) -> QuerySet[Extension]:
        """Return the extensions with their products and environments."""
        return super().complete(rows).prefetch_related("products", "environments__instances")

    def create(self, request: Request) -> Response:
        """Make an extension with an environment and an installation: 201."""
        values = self.body
        row = actions.create(
            self.account,
            values["name"],
            actions.products_of(self.account, values.get("products")),
            type=values.get("type", PRODUCTS),
        )
        return self.created(row.extension)


class _OfService(Collection):
    """What belongs to a service of the caller's account."""

    @property
    def environments(self) -> QuerySet[Environment]:
        """The environments that the path may name; raises Missing for an unknown one."""
        rows = Environment.objects.filter(
            extension=self.kwargs["extension_id"], extension__account=self.account
        )
        if (pk := self.kwargs.get("environment_id")) is not None:
            rows = rows.filter(pk=pk)
        if not rows.exists():
            raise Missing(pk or self.kwargs["extension_id"])
        return rows


class Environments(_OfService):
    """`/devops/services/{id}/environments`."""

    documented = Documented("DevOps", "environment", ENVIRONMENT)
    bodies = {"update": inputs.EnvironmentInput(partial=True)}

    def visible(self) -> QuerySet[Environment]:
        """Return the service's environments."""
        return self.environments

    def complete(self, rows: QuerySet[Environment]) -> QuerySet[Environment]:
        """Return the environments with their variables and instances."""
        return super().complete(rows).prefetch_related("variables", "instances")

    def update(self, request: Request, extension_id: str, pk: str) -> Response:
        """Take what a runner reports of itself: 200."""
        row = self.get_object()
        _ = self.body
        return self.answer(row)


class _Numbered(_OfService):
    """Objects of an environment whose identifier ends with their number."""

    def find(self, rows: QuerySet[Any], pk: str) -> Any:
        """Return the row by its identifier."""
        number = pk.rpartition("-")[2]
        is_number = number.isascii() and number.isdecimal() and len(number) < 19
        row = rows.filter(pk=int(number)).first() if is_number else None
        return row if row is not None and row.shown_id == pk else None

    @property
    def environment(self) -> Environment:
        """The environment of the path."""
        return self.environments.get()


class Variables(_Numbered):
    """`/devops/services/{id}/environments/{id}/variables`: a runner gets them when it connects."""

    documented = Documented("DevOps", "variable", VARIABLE)
    bodies = {"create": inputs.VariableInput(), "update": inputs.VariableInput(partial=True)}

    def visible(self) -> QuerySet[Variable]:
        """Return the environment's variables."""
        return Variable.objects.filter(environment__in=self.environments)

    def create(self, request: Request, **kwargs: str) -> Response:
        """Create a variable: 201, 400 where the name is taken."""
        environment, values = self.environment, self.body
        row, is_new = Variable.objects.get_or_create(
            environment=environment,
            name=values["name"],
            defaults={"value": values["value"], "secure": values.get("secure", False)},
        )
        if not is_new:
            raise Invalid("name", "There is a variable of this name.")
        self._tell()
        return self.created(row)

    def update(self, request: Request, **kwargs: str) -> Response:
        """Change value or secrecy: 200."""
        row, values = self.get_object(), self.body
        values.pop("name", None)
        row = Variable.objects.get(pk=row.pk)
        for name, value in values.items():
            setattr(row, name, value)
        row.save(update_fields=list(values))
        self._tell()
        return self.answer(row)

    def destroy(self, request: Request, **kwargs: str) -> Response:
        """Delete a variable: 204."""
        self.get_object().delete()
        self._tell()
        return Response(status=204)

    def _tell(self) -> None:
        environment = self.kwargs["environment_id"]
        transaction.on_commit(lambda: configured.send(sender=None, environment=environment))


class Schedules(_Numbered):
    """`/devops/services/{id}/environments/{id}/schedules`."""

    documented = Documented("DevOps", "schedule", SCHEDULE)
    bodies = {
        "create": inputs.ExtensionScheduleInput(),
        "update": inputs.ExtensionScheduleInput(partial=True),
    }
    related = ("environment",)

    def visible(self) -> QuerySet[Schedule]:
        """Return the environment's schedules."""
        return Schedule.objects.filter(environment__in=self.environments)

    def create(self, request: Request, **kwargs: str) -> Response:
        """Create a schedule, enabled: 201."""
        environment, values = self.environment, self.body
        trigger = triggers.parse(values["trigger"])
        row = Schedule.objects.create(
            **{**values, "trigger": trigger},
            environment=environment,
            created_at=clock.shown(clock.now()),
            next_at=triggers.next_time(trigger, None),
        )
        return self.created(row)

    def update(self, request: Request, **kwargs: str) -> Response:
        """Change a schedule: 200; with another trigger, it begins anew."""
        row, values = self.get_object(), self.body
        if "trigger" in values:
            values["trigger"] = triggers.parse(values["trigger"])
        Schedule.objects.filter(pk=row.pk).update(**values)
        row = self.get_object()
        if "trigger" in values and row.enabled:
            schedules.set_enabled(row, True)
        return self.answer(self.get_object())

    def destroy(self, request: Request, **kwargs: str) -> Response:
        """Delete a schedule: 204."""
        self.get_object().delete()
        return Response(status=204)

    def enable(self, request: Request, **kwargs: str) -> Response:
        """Enable a schedule: 200."""
        schedules.set_enabled(self.get_object(), True)
        return self.answer(self.get_object())

    def disable(self, request: Request, **kwargs: str) -> Response:
        """Disable a schedule: 200."""
        schedules.set_enabled(self.get_object(), False)
        return self.answer(self.get_object())

    def trigger(self, request: Request, **kwargs: str) -> Response:
        """Call the method now: 200, 400 while it is being called."""
        row = self.get_object()
        if not schedules.run(row, clock.now()):
            raise ActionNotAllowed(f"A task of {row.shown_id} has not ended.")
        return self.answer(row)


class Tasks(_Numbered):
    """`/devops/services/{id}/environments/{id}/tasks`."""

    documented = Documented("DevOps", "task", TASK)
    related = ("environment__extension__account", "instance", "installation")

    def visible(self) -> QuerySet[Task]:
        """Return the environment's tasks."""
        return Task.objects.filter(environment__in=self.environments)

    def resubmit(self, request: Request, **kwargs: str) -> Response:
        """Send a task again that has ended: 200, 400 for one that hasn't."""
        # The response shows the task as this call left it, before it is sent.
        with transaction.atomic():
            if not dispatch.resubmit(self.get_object()):
                raise ActionNotAllowed("The task has not ended.")
            response = self.answer(self.get_object())
        wake.send(sender=None)
        return response


class Installations(Collection):
    """`/devops/installations`: of the caller's account, and those of its own extensions."""

    documented = Documented("DevOps", "installation", INSTALLATION)
    bodies = {"create": inputs.NewInstallationInput(), "update": inputs.InstallationInput()}

    def visible(self) -> QuerySet[Installation]:
        """Return the account's installations."""
        return Installation.objects.filter(account=self.account)

    def create(self, request: Request) -> Response:
        """Install an extension of the account, or one for all: 201, 400 where it is installed."""
        values = self.body
        environment = actions.installable(self.account, values["environment"])
        return self.created(actions.install(environment, self.account, values["settings"]))

    def uninstall(self, request: Request, pk: str) -> Response:
        """Uninstall the extension: 200, 400 where it is uninstalled."""
        row = self.get_object()
        actions.uninstall(row)
        return self.answer(self.get_object())

    def update(self, request: Request, pk: str) -> Response:
        """Store the settings: 200."""
        row = self.get_object()
        Installation.objects.filter(pk=row.pk).update(settings=self.body["settings"])
        return self.answer(self.get_object())


class ServiceInstallations(_OfService):
    """`/devops/services/{id}/installations`: of all accounts, for the developer."""

    documented = Documented(
        "DevOps", "installation", INSTALLATION, answers={"impersonate": Answer(200, KEY)}
    )

    def visible(self) -> QuerySet[Installation]:
        """Return the installations of the service."""
        return Installation.objects.filter(environment__in=self.environments)

    def impersonate(self, request: Request, extension_id: str, pk: str) -> Response:
        """Return a key of the installation's account: 200."""
        row = self.get_object()
        if row.status != INSTALLED:
            raise ActionNotAllowed(f"{row.pk} is uninstalled.")
        return Response({"installation_api_key": f"ApiKey {actions.impersonate(row)}"})


def _definitions(account: Account) -> list[Json]:
    return [DEFINITION.represent(each) for each in definitions.EVENT_TYPES.values()]


_SERVICE = "devops/services/<str:extension_id>"
_ENVIRONMENT = f"{_SERVICE}/environments/<str:environment_id>"
_A_SCHEDULE = f"{_ENVIRONMENT}/schedules/<str:pk>"
_Methods = dict[str, Any]
_LIST: _Methods = {"get": "list"}
_DETAIL: _Methods = {"get": "retrieve"}
_CREATE: _Methods = {"post": "create"}
_UPDATE: _Methods = {"put": "update"}
_DELETE: _Methods = {"delete": "destroy"}

urlpatterns = [
    path("devops/event-definitions", ReferenceList.as_view(rows=_definitions)),
    path("devops/services", Services.as_view({**_LIST, **_CREATE})),
    path("devops/services/<str:pk>", Services.as_view(_DETAIL)),
    path(f"{_SERVICE}/environments", Environments.as_view(_LIST)),
    path(f"{_SERVICE}/environments/<str:pk>", Environments.as_view({**_DETAIL, **_UPDATE})),
    path(f"{_ENVIRONMENT}/variables", Variables.as_view({**_LIST, **_CREATE})),
    path(
        f"{_ENVIRONMENT}/variables/<str:pk>", Variables.as_view({**_DETAIL, **_UPDATE, **_DELETE})
    ),
    path(f"{_ENVIRONMENT}/schedules", Schedules.as_view({**_LIST, **_CREATE})),
    path(_A_SCHEDULE, Schedules.as_view({**_DETAIL, **_UPDATE, **_DELETE})),
    *(
        path(f"{_A_SCHEDULE}/{name}", Schedules.as_view({"post": name}))
        for name in ("enable", "disable", "trigger")
    ),
    path(f"{_ENVIRONMENT}/tasks", Tasks.as_view(_LIST)),
    path(f"{_ENVIRONMENT}/tasks/<str:pk>", Tasks.as_view(_DETAIL)),
    path(f"{_ENVIRONMENT}/tasks/<str:pk>/resubmit", Tasks.as_view({"post": "resubmit"})),
    path(f"{_SERVICE}/installations", ServiceInstallations.as_view(_LIST)),
    path(f"{_SERVICE}/installations/<str:pk>", ServiceInstallations.as_view(_DETAIL)),
    path(
        f"{_SERVICE}/installations/<str:pk>/impersonate",
        ServiceInstallations.as_view({"post": "impersonate"}),
    ),
    path("devops/installations", Installations.as_view({**_LIST, **_CREATE})),
    path("devops/installations/<str:pk>", Installations.as_view({**_DETAIL, **_UPDATE})),
    path("devops/installations/<str:pk>/uninstall", Installations.as_view({"post": "uninstall"})),
]
