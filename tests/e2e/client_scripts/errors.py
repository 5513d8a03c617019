"""Refusals as the client raises them: status, code, and a list of strings."""

from common import PROVIDER_KEY, VENDOR_KEY, client, hand_over, purchase, refused
from connect.client import R

vendor, distributor = client(), client(PROVIDER_KEY)
once = purchase()
once["asset"]["external_uid"] = "uid-of-the-error-script"
first = distributor.requests.create(once)

hand_over(
    first=first["id"],
    missing=refused(lambda: vendor.requests["PR-0000-0000-0000-000"].get()),
    missing_path=refused(lambda: vendor.ns("nowhere").things["X"].get()),
    invalid=refused(lambda: distributor.requests.create({"type": "purchase"})),
    invalid_in_several_ways=refused(
        lambda: vendor.ns("notifications").webhooks.create({"label": "Half"})
    ),
    unknown_property=refused(lambda: list(vendor.requests.filter(R().color.eq("red")))),
    bad_query=refused(lambda: list(vendor.requests.filter("eq(status"))),
    bad_date=refused(lambda: list(vendor.requests.filter(R().created.ge("yesterday")))),
    wrong_key=refused(lambda: list(client(f"{VENDOR_KEY}x").requests.all())),
    no_key=refused(lambda: list(client("").requests.all())),
    wrong_scheme=refused(
        lambda: list(client(VENDOR_KEY.replace("ApiKey", "Bearer")).requests.all())
    ),
    not_yours=refused(lambda: distributor.requests[first["id"]]("approve").post()),
    wrong_status=refused(lambda: vendor.requests[first["id"]]("confirm").post()),
    again=refused(lambda: distributor.requests.create(once)),
)
