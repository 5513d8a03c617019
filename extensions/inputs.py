"""The bodies that the API of extensions takes."""

from __future__ import annotations

from extensions.models import TYPES
from requests_queue.api.fields import Boolean, Choice, Free, Input, List, Reference, String


class ServiceInput(Input):
    """An extension; without products, those of its account."""

    name = String(max_length=100, required=True)
    type = Choice(TYPES)
    products = List(Reference(required=True), max_length=100)


class VariableInput(Input):
    """A variable; its name stays as it was created."""

    name = String(max_length=100, required=True)
    value = String(max_length=21960, required=True, allow_blank=True)
    secure = Boolean()


class ExtensionScheduleInput(Input):
    """A schedule; `trigger` is checked by `triggers.parse`."""

    name = String(max_length=256, required=True)
    description = String(max_length=2048)
    method = String(max_length=256, required=True)
    parameter = Free(allow_null=True, null_value={})
    trigger = Free(required=True)


class EnvironmentInput(Input):
    """What a runner of the cloud reports; the sandbox keeps none of it."""

    error_output = String(max_length=100_000)


class NewInstallationInput(Input):
    """The environment to install, and the settings of the installation."""

    environment = Reference(required=True)
    settings = Free(required=True)


class InstallationInput(Input):
    """The settings of an installation."""

    settings = Free(required=True)
