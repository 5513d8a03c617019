"""What tier configurations and the requests about them look like in the API.

`GET /tier/config-requests/{id}` and `GET /tier/configs/{id}` of Connect's OpenAPI document, and
of objects that connect-python-sdk's tests captured.
"""

from __future__ import annotations

from requests_queue.catalog.configured_values import of_product
from requests_queue.catalog.parameter_values import Params
from requests_queue.catalog.representations import connection_in_asset, icon, marketplace_ref, tier
from requests_queue.queues.tier_config import texts
from requests_queue.queues.tier_config.effects import form_url
from requests_queue.queues.tier_config.models import TierConfig, TierConfigRequest
from requests_queue.resources import event_at, format_datetime
from requests_queue.schema import Json


def config(row: TierConfig, line: TierConfig | None = None) -> Json:
    """Return a configuration; `line` is one of the same product and connection, already read."""
    line = line or row
    found: Json = {
        "id": row.id,
        "name": f"Configuration of {row.account.name}",
        "account": tier(row.account),
        "product": {
            "id": line.product.id,
            "name": line.product.name,
            "icon": icon(line.product),
            "status": line.product.status,
        },
        "tier_level": row.tier_level,
        "connection": connection_in_asset(line.connection),
        "events": {"created": event_at(row.created), "updated": event_at(row.updated)},
        "params": _params(row.params),
        "status": row.status,
        "configuration": {"params": of_product(line.product, line.marketplace_id)[0]},
        "contract": {
            "id": line.contract.id, "name": line.contract.name, "type": line.contract.type,
        },
        "marketplace": marketplace_ref(line.marketplace),
    }  # fmt: skip
    if row.template:
        found["template"] = {"id": row.template.id, "name": row.template.name}
    if open_request := _open(row):
        found["open_request"] = {"id": open_request.pk}
    return found


def request(row: TierConfigRequest) -> Json:
    """Return a request as `GET /tier/config-requests/{id}` has it."""
    about = row.configuration
    found: Json = {
        "id": row.id,
        "type": row.type,
        "status": row.status,
        "configuration": config(about),
        "params": _params(row.params),
        "assignee": {},
        "reason": row.reason,
        "notes": row.notes,
        "environment": about.connection.type,
        "tiers": _tiers(about),
        "events": _events(row),
    }
    if about.parent:
        found["parent_configuration"] = config(about.parent, about)
    if row.assignee:
        found["assignee"] = {"id": row.assignee.uid, "name": row.assignee.name}
    if template := texts.template_of(row):
        found["template"] = {"id": template.id, "name": template.name}
    if row.status == "inquiring":
        found["activation"] = {"link": form_url(row)}
    if row.effective_date:
        found["effective_date"] = format_datetime(row.effective_date)
    if row.previous_approved_request_id:
        found["previous_approved_request"] = {"id": row.previous_approved_request_id}
    return found


def approval(row: TierConfigRequest) -> Json:
    """Return what `approve` answers: the text that the reseller gets, and from when on."""
    found: Json = {"representation": text_of_request(row)}
    if row.template_id:
        found["id"] = row.template_id
    return {"template": found, "effective_date": format_datetime(row.effective_date)}


def text_of_request(row: TierConfigRequest) -> str:
    """Return what the reseller reads of a request: Markdown."""
    return texts.of_request(row, request(row))


def text_of_config(row: TierConfig) -> str:
    """Return what the reseller reads of a configuration: Markdown."""
    return texts.of_config(row, config(row))


def _params(rows: Params) -> Params:
    return [{key: value for key, value in row.items() if key != "name"} for row in rows]


def _open(row: TierConfig) -> TierConfigRequest | None:
    """Return the open request of a prefetched configuration; a draft only where it's alone."""
    rows: list[TierConfigRequest] = row.open_requests  # type: ignore[attr-defined]
    return min(rows, key=lambda r: (r.status == "draft", r.pk), default=None)


def _tiers(about: TierConfig) -> Json:
    if about.tier_level == 2:
        return {"tier1": {}, "tier2": tier(about.account)}
    above = about.parent.account if about.parent else None
    return {"tier1": tier(about.account), "tier2": tier(above)}


def _events(row: TierConfigRequest) -> Json:
    moments = {
        "created": row.created, "updated": row.updated, "inquired": row.inquired,
        "pended": row.pended,
    }  # fmt: skip
    return {name: event_at(moment) for name, moment in moments.items() if moment}
