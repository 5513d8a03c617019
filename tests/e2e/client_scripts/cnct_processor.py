"""A processor on connect-openapi-client 21, whose module is `cnct`, as CloudBlue's template for
Python has it: the vendor previews its own product, and processes what it has ordered."""

from bodies import CONTACT, METER, PLAIN, SUITE, URL, VENDOR_KEY, hand_over
from cnct import ClientError, ConnectClient, R
from cnct.client.models.resourceset import ResourceSet

PREVIEW = "CT-0000-0000-0000"
client = ConnectClient(VENDOR_KEY, endpoint=URL, use_specs=False)


def ordered(product, **asset):
    """Order a product of the vendor in the preview environment."""
    body = {
        "type": "purchase",
        "asset": {
            "product": {"id": product},
            "connection": {"id": PREVIEW, "type": "preview"},
            "items": [{"global_id": f"{product}-0001", "quantity": 2}],
            "params": [],
            "tiers": {
                "customer": {"name": "Harbour Cafe", "contact_info": CONTACT},
                "tier1": {"name": "Portland Resellers", "contact_info": CONTACT},
            },
            **asset,
        },
    }
    return client.requests.create(payload=body)


def pending():
    """Return the requests that the template's `processor.py` reads."""
    query = R()
    query &= R().asset.product.id.oneof([PLAIN, SUITE, METER])
    query &= R().asset.connection.type.oneof(["preview"])
    query &= R().status.oneof(["pending"])
    return client.collection("requests").filter(query).order_by("created")


def template(product, name, scope="asset"):
    template = (
        client.collection("products")[product].templates.filter(name=name, scope=scope).first()
    )
    return template["id"]


def approve(request):
    """Set the fulfillment parameter, and approve by a template's name."""
    params = [
        {"id": "activation_id", "value": "k", "value_error": "", "structured_value": ""},
    ]
    client.requests.resource(request["id"]).update(payload={"asset": {"params": params}})
    name = (
        client.products[PLAIN].templates.filter(scope="asset", type="fulfillment").first()["name"]
    )
    payload = {"template_id": template(PLAIN, name)}
    return client.requests[request["id"]].action(name="approve").post(payload=payload)


def say(request, text):
    """Add a message to a request's conversation, as the template reports errors."""
    conversations = ResourceSet(client, path="conversations", query=f"instance_id={request['id']}")
    assert conversations.count() == 1
    conversation = client.conversations[conversations[0]["id"]]
    return conversation.action(name="messages").post(payload={"text": text, "type": "message"})


def refused(call):
    try:
        call()
    except ClientError as error:
        return [error.status_code, error.error_code, error.errors]
    raise AssertionError("the call was not refused")


# One approved and one failed order.
bought, dropped = ordered(PLAIN, external_uid="cnct-1"), ordered(PLAIN, external_uid="cnct-2")
visible = [row["id"] for row in pending()]
approved = approve(bought)
message = say(dropped, "We are sold out.")
failed = client.requests[dropped["id"]]("fail").post(payload={"reason": "We are sold out."})
remaining = pending().count()
asset = approved["asset"]["id"]

# A change by the vendor itself, inquired and answered.
change = client.requests.create(
    payload={"type": "change", "asset": {"id": asset, "items": [
        {"id": f"{PLAIN}-0001", "quantity": 9}]}}
)  # fmt: skip
wrong = [{"id": "contact_email", "value_error": "Nobody reads this."}]
client.requests[change["id"]].update(payload={"asset": {"params": wrong}})
inquired = client.requests[change["id"]]("inquire").post(payload={})
values = [{"id": "contact_email", "value": "people@example.com", "value_error": ""}]
client.requests[change["id"]].update(payload={"asset": {"params": values}})
pended = client.requests[change["id"]]("pend").post()
changed = client.requests[change["id"]]("approve").post()

# An order of the suite waits for the reseller's configuration.
suite = ordered(SUITE)
query = R().configuration.connection.type.oneof(["preview"]) & R().status.ne("approved")
configs = [
    {k: row[k] for k in ("id", "status", "type")}
    for row in client.ns("tier").collection("config-requests").filter(query)
]
for row in configs:
    client.ns("tier").collection("config-requests")[row["id"]].action("fail").post(
        payload={"reason": "Not needed."}
    )
suite_after = client.requests[suite["id"]].get()

# Usage under the preview contract: creation, upload, submission, actions of both parties.
usage = client.ns("usage").files.create(
    payload={"name": "May", "product": {"id": SUITE},
             "contract": {"id": "CRD-00000-00000-00000"}}
)  # fmt: skip
deleted = client.ns("usage").files[usage["id"]].action("delete").post()

by_null = R().asset.connection.id.null(True) & R().id.eq(bought["id"])
hand_over(
    bought=bought,
    visible=visible,
    approved=approved,
    failed=[failed["status"], failed["reason"]],
    message=message["text"],
    remaining=remaining,
    inquired=inquired["status"],
    pended=pended["status"],
    changed=[changed["status"], changed["asset"]["items"][0]["quantity"]],
    configs=configs,
    suite=[suite["status"], suite_after["status"]],
    usage=[usage["environment"], deleted["status"] if deleted else None],
    by_null=[row["id"] for row in client.requests.filter(by_null)],
    accounts=[row["id"] for row in client.accounts.all()],
    users=[row["id"] for row in client.accounts["VA-610-138"].collection("users").all()],
    media=[row["type"] for row in client.products[SUITE].collection("media").all()],
    wrong_product=refused(lambda: ordered("PRD-000-000-001")),
    wrong_filter=refused(lambda: list(client.requests.filter("eq(nothing,1)"))),
)
