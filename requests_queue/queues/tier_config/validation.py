"""The declaration of the validation of tier configuration requests."""

from __future__ import annotations

from datetime import datetime

from requests_queue import clock
from requests_queue.catalog.parameter_values import Params
from requests_queue.queues import validation
from requests_queue.queues.tier_config import creation, effects, queries, representations, rules
from requests_queue.queues.tier_config.models import TierConfigRequest


def write(row: TierConfigRequest, params: Params, now: datetime) -> None:
    """Write the parameters of a locked request; raises Invalid for a unique value in use."""
    effects.check_unique(row.configuration, params, row.params)
    rows = TierConfigRequest.objects.filter(pk=row.pk)
    rows.update(params=params, updated=clock.shown(now))


def customers(row: TierConfigRequest) -> list[tuple[str, str]]:
    """Return the reseller of a request, with its label."""
    is_first = row.configuration.tier_level == 1
    label = "Reseller" if is_first else "Reseller of the upper tier"
    return [(label, row.configuration.account.name)]


VALIDATED = validation.register(
    validation.Validated(
        queue=rules.QUEUE,
        edit=creation.edit,
        shown=queries.shown,
        write=write,
        # MuleSoft's handlers return the parameters in the second path.
        paths=(("params",), ("configuration", "params")),
        customers=customers,
        text=lambda pk: representations.text_of_request(queries.get(pk)),
        level=lambda row: int(row.configuration.tier_level),
    )
)
