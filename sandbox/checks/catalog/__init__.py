"""All checks, in the order of a report; a control is the first of its group."""

from sandbox.checks.catalog import auth, client, crash, race, retry, token
from sandbox.checks.model import Check

CHECKS: tuple[Check, ...] = (
    *auth.CHECKS,
    *token.CHECKS,
    *race.CHECKS,
    *crash.CHECKS,
    *client.CHECKS,
    *retry.CHECKS,
)

BY_ID = {check.id: check for check in CHECKS}
