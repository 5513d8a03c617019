"""Lists: filters, order, select, first, count, slices, pages, search, values."""

from datetime import datetime

from common import PLAIN, SUITE, client, hand_over
from connect.client import R

connect = client()
requests = connect.requests


def ids(rows):
    return [row["id"] for row in rows]


everything = list(requests.all().order_by("created", "id"))
# The time of an existing row, as the client returned it.
moment = everything[len(everything) // 2]["created"]
some = [everything[0]["id"], everything[-1]["id"]]

filters = {
    "eq": requests.filter(R().status.eq("pending")),
    "keyword": requests.filter(status="pending"),
    "keywords": requests.filter(status="pending", asset__product__id=PLAIN),
    "keyword_in": requests.filter(id__in=some),
    "string": requests.filter(f"in(id,({some[0]},{some[1]}))"),
    "ne": requests.filter(R().status.ne("approved")),
    "in": requests.filter(R().status.oneof(["pending", "inquiring"])),
    "out": requests.filter(R().status.out(["approved", "failed"])),
    "like": requests.filter(R().asset.product.name.like("Nimbus M*")),
    "ilike": requests.filter(R().asset.product.name.ilike("*SUITE")),
    "spaces": requests.filter(R().asset.product.name.eq("Nimbus Backup")),
    "and": requests.filter(R().asset.product.id.eq(PLAIN) & R().type.eq("purchase")),
    "or": requests.filter(R().status.eq("failed") | R().type.eq("change")),
    # The client drops the negation of a lone `~R()`, so another condition is added.
    "not": requests.filter(R().type.eq("purchase") & ~R().status.eq("approved")),
    "null": requests.filter(R().planned_date.null(True)),
    "not_null": requests.filter(R().planned_date.null(False)),
    "empty": requests.filter(R().reason.empty(True)),
    "not_empty": requests.filter(R().reason.empty(False)),
    "ge": requests.filter(R().created.ge(moment)),
    "gt": requests.filter(R().created.gt(moment)),
    "le": requests.filter(R().created.le(moment)),
    "lt": requests.filter(R().created.lt(moment)),
    "datetime": requests.filter(R().created.ge(datetime.fromisoformat(moment))),
    "nested": requests.filter(R().asset.tiers.customer.id.eq("TA-0418-2290-3327")),
    "params": requests.filter(R().asset.params.id.eq("activation_id")),
    "chained": requests.filter(type="purchase").filter(R().asset.product.id.eq(SUITE)),
}

ordered = requests.all().order_by("-created", "id")
counted = requests.filter(status="approved")
nothing = requests.filter(R().id.eq("PR-0000-0000-0000-000"))
pages = requests.all().order_by("id").limit(10)
paged = ids(pages)

hand_over(
    everything=everything,
    moment=moment,
    some=some,
    filters={name: ids(rows) for name, rows in filters.items()},
    counts={name: rows.count() for name, rows in filters.items()},
    ordered=ids(ordered),
    ordered_by_name=[
        row["asset"]["tiers"]["customer"]["name"]
        for row in requests.all().order_by("asset.tiers.customer.name")
    ],
    count=counted.count(),
    count_of_all=requests.all().count(),
    count_of_nothing=nothing.count(),
    list_of_nothing=list(nothing),
    first=ordered.first()["id"],
    first_of_nothing=nothing.first(),
    is_there=[bool(counted), bool(nothing)],
    item=ordered[3]["id"],
    slice=ids(ordered[2:5]),
    slice_over_pages=ids(requests.all().order_by("id").limit(4)[3:14]),
    paged=paged,
    content_range=[pages.content_range.first, pages.content_range.last, pages.content_range.count],
    selected=requests.filter(id=some[0]).select("-asset.items", "-asset.params", "-note").first(),
    search=ids(requests.all().search(some[0])),
    values=list(requests.filter(id=some[0]).values_list("id", "asset.product.id")),
    resource_values=requests[some[0]].values("id", "asset.connection.hub.id"),
    exists=[requests[some[0]].exists(), requests["PR-0000-0000-0000-000"].exists()],
    assets=ids(connect.assets.filter(product__id=PLAIN).order_by("id")),
    requests_of_asset=ids(
        connect.assets[everything[0]["asset"]["id"]].collection("requests").all()
    ),
    products=ids(connect.products.all().order_by("id")),
    template=connect.products[PLAIN].templates.filter(scope="asset", type="fulfillment").first(),
    items=ids(connect.products[PLAIN].items.all()),
)
