"""All checks, in the order of a report; a control is the first of its group."""

from checks.catalog import (
    auth,
    client,
    crash,
    delivery,
    deploy,
    effects,
    extension,
    orders,
    payload,
    race,
    retry,
    speed,
    token,
    turn,
    validator,
)
from checks.model import Check

CHECKS: tuple[Check, ...] = (
    *auth.CHECKS,
    *token.CHECKS,
    *payload.CHECKS,
    *delivery.CHECKS,
    *effects.CHECKS,
    *orders.CHECKS,
    *speed.CHECKS,
    *race.CHECKS,
    *crash.CHECKS,
    *client.CHECKS,
    *retry.CHECKS,
    *turn.CHECKS,
    *deploy.CHECKS,
    *validator.CHECKS,
    *extension.CHECKS,
)

BY_ID = {check.id: check for check in CHECKS}
