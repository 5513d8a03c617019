"""Every action of requests, each by its party."""

from datetime import UTC, datetime, timedelta

from common import METER, PLAIN, PROVIDER_KEY, SUITE, client, hand_over, purchase, refused

vendor, distributor = client(), client(PROVIDER_KEY)


def filled(request):
    """Return values of the fulfillment parameters that an approval requires."""
    return {
        "asset": {
            "params": [
                {"id": param["id"], "value": f"filled-{request['id']}"}
                for param in request["asset"]["params"]
                if param["phase"] == "fulfillment" and param["constraints"]["required"]
            ]
        }
    }


def order(product=PLAIN, **more):
    return distributor.requests.create(purchase(product, **more))


def approve(request):
    resource = vendor.requests[request["id"]]
    if request["type"] == "purchase":
        resource.update(filled(request))
    template = vendor.products[request["asset"]["product"]["id"]].templates.filter(
        scope="asset", type="fulfillment"
    )
    return resource("approve").post({"template_id": template.first()["id"]})


def draft_purchase():
    created = order(SUITE, status="draft", params=[{"id": "admin_email", "value": "a@example.com"}])
    # The client sends no body for an empty payload.
    return created, distributor.requests[created["id"]]("purchase").post({})


def draft_change():
    asset = approve(order(METER))["asset"]
    change = {
        "type": "change", "status": "draft",
        "asset": {"id": asset["id"], "items": [{"id": asset["items"][0]["id"], "quantity": "7"}]},
    }  # fmt: skip
    created = distributor.requests.create(change)
    return created, distributor.requests[created["id"]]("submit").post()


def inquiry():
    created = order()
    resource = vendor.requests[created["id"]]
    wrong = [{"id": "contact_email", "value_error": "Nobody reads this."}]
    updated = resource.update({"asset": {"params": wrong}, "note": "Asked."})
    inquired = resource("inquire").post({"template_id": "TL-213-870-002"})
    right = [{"id": "contact_email", "value": "it@example.com"}]
    distributor.requests[created["id"]].update({"asset": {"params": right}})
    return updated, inquired, distributor.requests[created["id"]]("pend").post()


def plan():
    created = order()
    planned = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    resource = vendor.requests[created["id"]]
    scheduled = resource("schedule").post({"planned_date": planned})
    revoking = distributor.requests[created["id"]]("revoke").post({"reason": "Not any more."})
    return scheduled, revoking, resource("confirm").post()


def assignment():
    created = order()
    resource = vendor.requests[created["id"]]
    by_id = resource("assign").post({"id": "UR-426-913-070"})
    nobody = resource("unassign").post()
    by_email = resource("assign").post({"email": "maya.ortiz@nimbus.example.com"})
    return by_id, nobody, by_email


def failure():
    created = order()
    resource = vendor.requests[created["id"]]
    without_reason = refused(lambda: resource("fail").post({}))
    return without_reason, resource("fail").post({"reason": "No."})


def the_rest_of_a_subscription():
    """Return the approved later requests of a subscription."""
    asset = approve(order(METER))["asset"]
    return [
        approve(distributor.requests.create({"type": kind, "asset": {"id": asset["id"]}}))
        for kind in ("suspend", "resume", "cancel")
    ]


drafted, purchased = draft_purchase()
drafted_change, submitted = draft_change()
updated, inquired, pended = inquiry()
scheduled, revoking, revoked = plan()
assigned, unassigned, assigned_by_email = assignment()
without_reason, failed = failure()
approved = approve(order())

hand_over(
    draft=drafted,
    purchase=purchased,
    draft_change=drafted_change,
    submit=submitted,
    update=updated,
    inquire=inquired,
    pend=pended,
    schedule=scheduled,
    revoke=revoking,
    confirm=revoked,
    assign=assigned,
    unassign=unassigned,
    assign_by_email=assigned_by_email,
    fail_without_reason=without_reason,
    fail=failed,
    approve=approved,
    asset=vendor.assets[approved["asset"]["id"]].get(),
    later=the_rest_of_a_subscription(),
)
