"""What usage files and their records can be filtered and ordered by."""

from __future__ import annotations

from requests_queue.filtering import ConnectFilters, filters, parts
from requests_queue.queues.usage_file.models import UsageFile, UsageRecord


class UsageFileFilters(ConnectFilters):
    """What `/usage/files` takes."""

    MODEL = UsageFile
    FILTERS = [
        *filters(
            "id", "name", "status", "external_id", "environment", "schema", "currency", "created",
            "updated", "description", ("created.at", "created"), ("created_at", "created"),
            ("events.created.at", "created"), ("period.from", "period_from"),
            ("period.to", "period_to"), ("contract.id", "contract__id"),
            ("contract.name", "contract__name"), ("distribution_contract_id", "contract__id"),
            ("marketplace.id", "marketplace__id"), ("marketplace.name", "marketplace__name"),
            ("marketplace_id", "marketplace__id"), ("product.id", "product__id"),
            ("product.name", "product__name"), ("product_id", "product__id"),
            ("provider.id", "provider__id"), ("provider.name", "provider__name"),
            ("provider_id", "provider__id"), ("vendor.id", "vendor__id"),
            ("vendor.name", "vendor__name"), ("vendor_id", "vendor__id"),
            search=("id", "name"),
        ),
        *parts("vendor", "provider", "marketplace", "contract", "product", "period", "stats",
               "events"),
    ]  # fmt: skip


class UsageRecordFilters(ConnectFilters):
    """What `/usage/records` takes."""

    MODEL = UsageRecord
    FILTERS = [
        *filters(
            "id", "status", "start_date", "end_date", "category", "tier",
            "external_billing_id", "closed_at", ("usage_start_time", "start_date"),
            ("created_time", "file__created"), ("product.id", "file__product__id"),
            ("product_id", "file__product__id"), ("item.id", "item__id"),
            ("item_id", "item__id"), ("item.mpn", "item__mpn"), ("asset.id", "asset__id"),
            ("asset_id", "asset__id"), ("asset.external_id", "asset__external_id"),
            ("asset_external_id", "asset__external_id"),
            ("asset.external_uid", "asset__external_uid"),
            ("asset_external_uid", "asset__external_uid"), ("usagefile.id", "file__id"),
            ("usage_file", "file__id"), ("usagefile.schema", "file__schema"),
            ("usagefile.status", "file__status"), ("hub.id", "asset__connection__hub__id"),
            ("part_usage_file.hub.id", "asset__connection__hub__id"),
            search=("id",),
        ),
        *parts("item", "asset", "usagefile", "params"),
    ]  # fmt: skip
