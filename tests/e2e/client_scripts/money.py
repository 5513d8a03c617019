"""Billing requests of both sides, in both forms of a body."""

from common import PLAIN
from either import distributor, got, ids, refused, status_of, vendor

REQUESTS = vendor.ns("subscriptions").collection("requests")
THEIRS = distributor.ns("subscriptions").collection("requests")
PERIOD = {
    "from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00.000Z", "delta": 1, "uom": "monthly",
}  # fmt: skip


def _nested(asset, kind):
    return {
        "type": kind, "asset": {"id": asset["id"]}, "items": [{"id": asset["items"][0]["id"]}],
        "period": PERIOD, "attributes": {kind: {"invoice": "1"}},
    }  # fmt: skip


def _flat(asset, kind):
    return {
        "type": kind, "asset_id": asset["id"],
        "items": [{"global_id": asset["items"][0]["global_id"], "quantity": 3}],
        **{f"period_{name}": value for name, value in PERIOD.items()},
    }  # fmt: skip


async def billing():
    """Bill a subscription as both sides do, and see what each sees of the other's."""
    subscriptions = distributor.ns("subscriptions").assets
    asset = await got(subscriptions.filter(product__id=PLAIN, status="active").first())
    provided = await got(THEIRS.create(_nested(asset, "provider")))
    provided_flat = await got(THEIRS.create(_flat(asset, "provider")))
    vended = await got(REQUESTS.create(_nested(asset, "vendor")))
    vended_flat = await got(REQUESTS.create(_flat(asset, "vendor")))
    attributes = await got(
        REQUESTS[vended["id"]]("attributes").put({"vendor": {"invoice": "NB-1"}})
    )
    made = [row["id"] for row in (provided, provided_flat, vended, vended_flat)]
    return {
        "asset": asset, "provided": provided, "provided_flat": provided_flat, "vended": vended,
        "vended_flat": vended_flat, "attributes": attributes, "put": status_of(vendor),
        "read_attributes": await got(REQUESTS[vended["id"]]("attributes").get()),
        "after": await got(THEIRS[vended["id"]].get()),
        "seen_by_vendor": await ids(REQUESTS.filter(id__in=made).order_by("id")),
        "seen_by_provider": await ids(THEIRS.filter(id__in=made).order_by("id")),
        "exists": await got(REQUESTS[provided["id"]].exists()),
        "not_theirs": await refused(lambda: REQUESTS.create(_nested(asset, "provider"))),
        "no_period": await refused(
            lambda: REQUESTS.create({**_nested(asset, "vendor"), "period": {}})
        ),
        "subscription": await got(vendor.ns("subscriptions").assets[asset["id"]].get()),
        "of_asset": await got(THEIRS.filter(asset__id=asset["id"], type="provider").count()),
    }  # fmt: skip
