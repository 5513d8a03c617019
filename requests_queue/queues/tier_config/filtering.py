"""What tier configurations and the requests about them can be filtered and ordered by."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Q, QuerySet, TextField, Value
from django.db.models.functions import Coalesce, Concat, NullIf, Trim
from py_rql.constants import FilterLookups

from requests_queue.catalog import templates
from requests_queue.filtering import (
    ConnectFilters,
    plain,
)
from requests_queue.inside_json import any_element
from requests_queue.queues.tier_config import setup
from requests_queue.queues.tier_config.models import TierConfig, TierConfigRequest
from requests_queue.queues.tier_config.representations import CONFIG, REQUEST


def with_shown(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the requests with the name of who works on them and the template, as shown."""
    full = Trim(Concat("assignee__first_name", Value(" "), "assignee__last_name"))
    name = Coalesce(NullIf(full, Value("")), F("assignee__username"), output_field=TextField())
    template = templates.shown_id(
        {scope: Q(configuration__tier_level=level) for level, scope in setup.SCOPES.items()}
    )
    found: QuerySet[Any] = rows.alias(assignee_name=name, template_shown=template)
    return found


class TierConfigRequestFilters(ConnectFilters):
    """What requests can be filtered and ordered by."""

    MODEL = TierConfigRequest
    FILTERS = REQUEST.filters

    def build_q_for_custom_filter(self, data: Any) -> Q:
        """Look into the parameters, or whether somebody works on the request."""
        if data.filter_name != "unassigned":
            return any_element(TierConfigRequest, "params", _key(data), data)
        found = Q(assignee=None)
        wanted = plain(data.str_value).lower() in ("true", "1", "yes")
        return found if wanted != (data.filter_lookup == FilterLookups.NE) else ~found


class TierConfigFilters(ConnectFilters):
    """What configurations can be filtered and ordered by."""

    MODEL = TierConfig
    FILTERS = CONFIG.filters

    def build_q_for_custom_filter(self, data: Any) -> Q:
        """Look into the parameters."""
        return any_element(TierConfig, "params", _key(data), data)


def _key(data: Any) -> str:
    return str(data.filter_name.rpartition(".")[2])
