"""What tier configurations and the requests about them can be filtered and ordered by."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Q, QuerySet, TextField, Value
from django.db.models.functions import Coalesce, Concat, NullIf, Trim
from py_rql.constants import FilterLookups

from requests_queue.catalog import templates
from requests_queue.filtering import (
    ConnectFilters,
    computed,
    filters,
    inside_json,
    looked_up,
    parts,
    plain,
)
from requests_queue.inside_json import any_element
from requests_queue.queues.tier_config import setup
from requests_queue.queues.tier_config.models import TierConfig, TierConfigRequest
from requests_queue.schema import Json


def _of_config(prefix: str, route: str) -> list[Json]:
    """Return the filters of a configuration, under a prefix of names and of ORM routes."""
    names = {
        "id": "id",
        "account.id": "account__id",
        "account.name": "account__name",
        "account.external_id": "account__external_id",
        "account.external_uid": "account__external_uid",
        "account.hub.id": "account__hub__id",
        "account.hub.name": "account__hub__name",
        "connection.id": "connection__public_id",
        "connection.type": "connection__type",
        "connection.hub.id": "connection__hub__id",
        "connection.provider.id": "connection__provider__id",
        "connection.vendor.id": "connection__vendor__id",
        "contract.id": "contract__id",
        "marketplace.id": "marketplace__id",
        "marketplace.name": "marketplace__name",
        "product.id": "product__id",
        "product.name": "product__name",
        "tier_level": "tier_level",
    }
    return filters(*((f"{prefix}{name}", f"{route}{source}") for name, source in names.items()))


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
    FILTERS = [
        *filters(
            "id", "type", "status", "created", "updated", "notes", "reason", "effective_date",
            ("events.created.at", "created"), ("events.updated.at", "updated"),
            ("events.inquired.at", "inquired"), ("events.pended.at", "pended"),
            ("assignee.id", "assignee__uid"),
            ("environment", "configuration__connection__type"),
            ("configuration.status", "configuration__status"),
            ("parent_configuration.id", "configuration__parent__id"),
            search=("id",),
        ),
        *_of_config("configuration.", "configuration__"),
        computed("assignee.name", "assignee_name", TextField()),
        computed("template.id", "template_shown", TextField()),
        looked_up("unassigned"),
        *inside_json("params.id", "params.value"),
        *parts(
            "params", "configuration", "configuration.configuration", "configuration.params",
            "configuration.product.capabilities", "parent_configuration", "tiers", "template",
            "assignee", "activation", "events",
        ),
    ]  # fmt: skip

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
    FILTERS = [
        *_of_config("", ""),
        *filters(
            "status", "created", "updated", ("events.created.at", "created"),
            ("events.updated.at", "updated"), ("account.company_name", "account__name"),
            ("template.id", "template__id"), ("parent.id", "parent__id"),
        ),
        *inside_json("params.id", "params.value"),
        *parts("params", "configuration", "account", "template", "open_request", "events"),
    ]  # fmt: skip

    def build_q_for_custom_filter(self, data: Any) -> Q:
        """Look into the parameters."""
        return any_element(TierConfig, "params", _key(data), data)


def _key(data: Any) -> str:
    return str(data.filter_name.rpartition(".")[2])
