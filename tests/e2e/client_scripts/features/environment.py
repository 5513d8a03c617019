"""The library's own steps and fixtures, pointed at the sandbox by the environment."""

from behave import use_fixture
from connect.devops_testing.bdd import steps
from connect.devops_testing.bdd.fixtures import (
    use_connect_request_builder,
    use_connect_request_dispatcher,
    use_connect_request_store,
)

NAMES = {"the contact": "contact_email", "the activation": "activation_id"}
VALUES = {"a good address": "it@example.com", "a wrong address": "wrong@example.com"}
SHARED = {
    "Nimbus Backup": "PRD-814-505-018",
    "its connection": "CT-2044-1187-9002",
    "Northland": "MP-40117",
    "the seat": "PRD-814-505-018-0001",
    "Nimbus Secure Suite": "PRD-362-917-440",
    "the suite's connection": "CT-3380-6125-4471",
}


def before_all(context):
    # Both are read from CONNECT_API_URL and CONNECT_API_KEY.
    use_fixture(
        use_connect_request_dispatcher, context, use_specs=False, timeout=0.2, max_attempts=100
    )
    use_fixture(
        use_connect_request_builder, context, parameters=NAMES, values=VALUES, shared=SHARED
    )


def before_scenario(context, scenario):
    use_fixture(use_connect_request_store, context, reset=True)
