"""Tier configurations and tier accounts: setup, updates, actions and rendering."""

from bodies import CONTACT, SUITE, purchase
from either import HUB, KIND, distributor, ids, refused, result, rows, status_of, template, vendor

ADMIN = [{"id": "admin_email", "value": "a@example.com"}]
OURS = vendor.ns("tier").collection("config-requests")
THEIRS = distributor.ns("tier").collection("config-requests")


def reseller(name):
    return {"name": f"{name} ({KIND})", "contact_info": CONTACT}


async def state(pk):
    return await result(OURS[pk].get())


async def _ordered():
    """Return an order through unconfigured resellers, and the request of each level."""
    body = purchase(SUITE, ADMIN)
    body["asset"]["tiers"] |= {"tier1": reseller("Elm"), "tier2": reseller("Oak")}
    order = await result(distributor.requests.create(body))
    requests = {}
    for level in (1, 2):
        reseller_id = order["asset"]["tiers"][f"tier{level}"]["id"]
        requests[level] = await result(OURS.filter(configuration__account__id=reseller_id).first())
    return order, requests


async def by_order():
    """Set up both levels that an order waits for, level 2 first."""
    order, requests = await _ordered()
    second, first = requests[2]["id"], requests[1]["id"]
    too_early = await refused(lambda: OURS[first]("approve").post())
    assigned = await result(OURS[second]("assign").post({"email": "maya.ortiz@nimbus.example.com"}))
    assigned_status, assignee = status_of(vendor), (await state(second))["assignee"]
    await result(OURS[second]("unassign").post())
    await result(OURS[second].update({
        "notes": "Asked.", "params": [{"id": "master_reference", "value_error": "Taken."}],
    }))  # fmt: skip
    await result(OURS[second]("inquire").post({}))
    inquired = await state(second)
    params = {"params": [{"id": "master_reference", "value": "OAK"}]}
    await result(THEIRS[second].update(params))
    await result(THEIRS[second]("pend").post())
    pended = await state(second)
    body = {"template": {"id": await template(SUITE, "tier2")}}
    answered = await result(OURS[second]("approve").post(body))
    released = await state(first)
    await result(THEIRS[first].update({"params": [{"id": "partner_agreement", "value": "NSS-1"}]}))
    await result(THEIRS[first]("pend").post())
    without = await refused(lambda: OURS[first]("approve").post())
    await result(OURS[first].update({"params": [{"id": "partner_tenant", "value": "pt-1"}]}))
    await result(OURS[first]("approve").post())
    config = vendor.ns("tier").configs[(await state(first))["configuration"]["id"]]
    return {
        "order": order, "first": requests[1], "second": requests[2], "too_early": too_early,
        "assigned": [assigned, assigned_status, assignee], "inquired": inquired, "pended": pended,
        "answered": answered, "released": released, "without": without,
        "order_after": await result(vendor.requests[order["id"]].get()),
        "config": await result(config.get()),
        "rendered": (await result(OURS[second]("render").get())).decode(),
        "config_rendered": (await result(config("render").get())).decode(),
        "of_order": await ids(vendor.ns("tier").configs.filter(
            account__id=order["asset"]["tiers"]["tier1"]["id"], status="active"
        )),
    }  # fmt: skip


async def by_api():
    """Set up a reseller without an order, update it, adjust it, and fail."""
    setup = {
        "type": "setup",
        "status": "draft",
        "configuration": {
            "product": {"id": SUITE}, "account": reseller("Ash"), "tier_level": 1,
        },
        "params": [{"id": "partner_agreement", "value": "NSS-2"}],
    }  # fmt: skip
    draft = await result(THEIRS.create(setup))
    await result(THEIRS[draft["id"]]("submit").post())
    submitted = await state(draft["id"])
    await result(OURS[draft["id"]].update({"params": [{"id": "partner_tenant", "value": "pt-2"}]}))
    await result(OURS[draft["id"]]("approve").post())
    config = {"id": submitted["configuration"]["id"]}
    changed = [{"id": "partner_agreement", "value": "NSS-3"}]
    body = {"type": "update", "configuration": config, "params": changed}
    update = await result(THEIRS.create(body))
    again = await refused(lambda: THEIRS.create(body))
    reason = await refused(lambda: OURS[update["id"]]("fail").post())
    await result(OURS[update["id"]]("fail").post({"reason": "Unknown."}))
    failed = await state(update["id"])
    moved = [{"id": "partner_tenant", "value": "pt-9"}]
    adjustment = await result(
        OURS.create({"type": "adjustment", "configuration": config, "params": moved})
    )
    await result(OURS[adjustment["id"]]("approve").post())
    by_vendor = await refused(lambda: OURS.create({**setup, "configuration": config}))
    return {
        "draft": draft, "submitted": submitted, "update": update, "again": again,
        "reason": reason, "failed": failed, "adjustment": adjustment, "by_vendor": by_vendor,
        "config": await result(vendor.ns("tier").configs[config["id"]].get()),
        "pending": await result(OURS.filter(status="pending").count()),
    }  # fmt: skip


async def accounts():
    """Create a customer, order for it, change it, and let the vendor accept or ignore."""
    collection = distributor.ns("tier").accounts
    created = await result(collection.create({
        "name": f"Harbour Bakery ({KIND})", "type": "customer", "contact_info": CONTACT,
        "external_id": f"bakery-{KIND}", "external_uid": f"bakery-uid-{KIND}",
        "hub": {"id": HUB},
    }))  # fmt: skip
    account = collection[created["id"]]
    body = purchase(SUITE, ADMIN)
    body["asset"]["tiers"] |= {
        "customer": {"id": created["id"]},
        "tier1": {"id": "TA-6120-4478-0112"},
    }
    order = await result(distributor.requests.create(body))
    changed = await result(account.update({"contact_info": {"city": "Salem"}}))
    requests = distributor.ns("tier").collection("account-requests")
    first = await result(requests.filter(account__id=created["id"]).first())
    uid = {"external_uid": created["external_uid"], "tax_id": "93-1"}
    second = await result(requests.create({"type": "update", "account": uid}))
    same = await refused(lambda: requests.create({"type": "update", "account": uid}))
    of_vendor = vendor.ns("tier").collection("account-requests")
    not_theirs = await refused(lambda: requests[first["id"]]("accept").post())
    accepted = await result(of_vendor[first["id"]]("accept").post())
    ignored = await result(of_vendor[second["id"]]("ignore").post({"reason": "Not kept."}))
    again = await refused(lambda: of_vendor[second["id"]]("accept").post())
    versions = await rows(account.versions.all())
    old = await result(account.versions["1"].get())
    not_mine = await refused(
        lambda: vendor.ns("tier").accounts[created["id"]].update({"name": "X"})
    )
    return {
        "created": created, "order": order["status"], "changed": changed, "first": first,
        "second": second, "same": same, "accepted": accepted, "ignored": ignored, "again": again,
        "versions": versions, "old": old, "not_theirs": not_theirs, "not_mine": not_mine,
        "by_uid": await ids(collection.filter(external_uid=created["external_uid"])),
        "deleted": [await result(account.delete()), status_of(distributor)],
        "after": await result(account.get()),
    }  # fmt: skip
