"""Test webhook handlers of CloudBlue Connect with pytest, against Connect Sim.

The fixture `connect_sim` is a `ConnectSim`; see README.md.
"""

from __future__ import annotations

from pytest_connect_sim.client import ApiError, Client
from pytest_connect_sim.expectations import Expectation, ExpectationError
from pytest_connect_sim.extensions import Extension, ExtensionError
from pytest_connect_sim.faults import Fault, Faults
from pytest_connect_sim.names import UnknownName
from pytest_connect_sim.objects import Moved, Product, QueueObject, Validation, Webhook
from pytest_connect_sim.server import Server
from pytest_connect_sim.simulator import ConnectSim
from pytest_connect_sim.version import VERSION as __version__

__all__ = [
    "ApiError",
    "Client",
    "ConnectSim",
    "Expectation",
    "ExpectationError",
    "Extension",
    "ExtensionError",
    "Fault",
    "Faults",
    "Moved",
    "Product",
    "QueueObject",
    "Server",
    "UnknownName",
    "Validation",
    "Webhook",
    "__version__",
]
