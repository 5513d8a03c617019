"""connect-openapi-client 21, whose module is `cnct`, as CloudBlue's template for Python uses it:
the vendor previews its own product, and processes what it has ordered."""

from bodies import METER, PLAIN, SUITE, URL, VENDOR_KEY, purchase
from cnct import ClientError, ConnectClient, R
from cnct.client.models.resourceset import ResourceSet

PREVIEW = "CT-0000-0000-0000"
Refused = ClientError
client = ConnectClient(VENDOR_KEY, endpoint=URL, use_specs=False)
setups = client.ns("tier").collection("config-requests")


def described(error):
    return {"status": error.status_code, "error_code": error.error_code, "errors": error.errors}


def ids(rows):
    return [row["id"] for row in rows]


def ordered(product, **asset):
    """Order a product of the vendor in the preview environment."""
    preview = {
        "product": {"id": product},
        "connection": {"id": PREVIEW, "type": "preview"},
        "items": [{"global_id": f"{product}-0001", "quantity": 2}],
        **asset,
    }
    return client.requests.create(payload=purchase(asset=preview))


def pending():
    """Return the requests that the template's `processor.py` reads."""
    query = R()
    query &= R().asset.product.id.oneof([PLAIN, SUITE, METER])
    query &= R().asset.connection.type.oneof(["preview"])
    query &= R().status.oneof(["pending"])
    return client.collection("requests").filter(query).order_by("created")


def approve(request):
    """Set the fulfillment parameter, and approve by a template's name."""
    params = [{"id": "activation_id", "value": "k", "value_error": "", "structured_value": ""}]
    client.requests.resource(request["id"]).update(payload={"asset": {"params": params}})
    templates = client.collection("products")[PLAIN].templates
    name = templates.filter(scope="asset", type="fulfillment").first()["name"]
    payload = {"template_id": templates.filter(name=name, scope="asset").first()["id"]}
    return client.requests[request["id"]].action(name="approve").post(payload=payload)


def say(request, text):
    """Add a message to a request's conversation, as the template reports errors."""
    conversations = ResourceSet(client, path="conversations", query=f"instance_id={request['id']}")
    assert conversations.count() == 1
    conversation = client.conversations[conversations[0]["id"]]
    return conversation.action(name="messages").post(payload={"text": text, "type": "message"})


def fail_setups():
    """Fail the tier configurations that the preview's orders wait for, and return them."""
    query = R().configuration.connection.type.oneof(["preview"]) & R().status.ne("approved")
    rows = list(setups.filter(query))
    for row in rows:
        setups[row["id"]].action("fail").post(payload={"reason": "Not needed."})
    return rows
