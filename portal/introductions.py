"""One sentence on each page, shown on the first visit of a browser.

The pages that a browser has visited are in a cookie, so the server leaves the sentence out: without
scripts, without rows, and without moving what is below it.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

_YEAR = 365 * 24 * 3600
# By the names of the URL patterns; apps above the portal add theirs with their URLs. Pages
# that ask before an action have none: they always say what it does.
SENTENCES = {
    "home": "Home shows what needs your attention: failing webhooks, the deliveries of the last "
    "hour, and the status of the system.",
    "webhooks": "A webhook calls your handler when a queue of your account changes.",
    "webhook-new": "Five steps create a webhook: its name, its product, what triggers it, "
    "where requests are sent, and what is added to them.",
    "webhook-new-step": "Each step is kept for a day, and nothing is created before the last one.",
    "webhook": "This is one webhook: how it is doing, what it is for, and by the tabs its "
    "deliveries, statistics and settings.",
    "webhook-deliveries": "A delivery is sent to the handler because of events, and repeated until "
    "the handler accepts it; each line is one.",
    "webhook-statistics": "The statistics say how often requests of this webhook succeeded and "
    "failed, why, and how long they took.",
    "webhook-http": "These settings are where requests of this webhook are sent, with which "
    "headers, and the secret that signs them.",
    "webhook-data": "Custom data is a JSON object that is sent with each request of this webhook.",
    "webhook-edit": "Changes apply to the next request; a change of the endpoint, the secret or "
    "the headers also ends a backoff.",
    "deliveries": "A delivery is sent to a handler because of events, and repeated until the "
    "handler accepts it; each line is one, with its latest attempt.",
    "delivery": "This is one delivery: what was sent to the handler, what it responded, and each "
    "attempt so far.",
    "delivery-change": "This sends one request with other content, which changes neither the "
    "webhook nor its backoff, and is not retried.",
    "queues": "A queue has the objects of one kind, and every change of one triggers the webhooks "
    "that listen to its queue.",
    "queue": "These are the objects of one queue by their status; open one to see its history and "
    "what you can do with it.",
    "queue-new": "A sample is an object with example values, which you can change before it is "
    "created.",
    "queue-object": "This is one object of a queue: what it waits for, what you can do with it, "
    "and what has happened to it.",
    "queue-source": "This is the JSON that the API returns to your account for the object.",
    "queue-edit": "This form changes what the API's PUT lets your account change.",
    "queue-action": "An action changes the status of the object, as the API call of that name "
    "does.",
    "products": "These are the products that your account sells, is connected to or has listed; "
    "each webhook is for one.",
    "product": "This is one product: its texts, webhooks and marketplaces, and by the tabs what is "
    "sold and how.",
    "product-items": "Items are what customers order of a product: quantities in advance, or usage "
    "that is reported later.",
    "product-parameters": "Parameters are the values that customers, resellers and the vendor fill "
    "in for an order or a product.",
    "product-templates": "Templates are the texts that customers see when a request is approved, "
    "or when it needs their answers.",
    "product-capabilities": "Capabilities are what a product can do in Connect; they determine "
    "which webhooks it can have.",
    "search": "The search finds objects by ID or by its beginning, deliveries by number, webhooks "
    "and products also by name, pages and actions.",
    "password": "A password lets you sign in by user name, without a link that works once.",
    "api-keys": "An API key lets a program call the API as your account; only its hash is stored, "
    "so the key is shown once, when it is created.",
}


def sentence(request: HttpRequest) -> str:
    """Return the sentence of the page, empty if the browser has visited it before."""
    name = _name(request)
    return "" if name in _visited(request) else SENTENCES.get(name, "")


def remember(request: HttpRequest, response: HttpResponse) -> None:
    """Add the page to the cookie of visited pages."""
    response.set_cookie(
        settings.SIM_VISITED_COOKIE_NAME,
        ".".join([*_visited(request), _name(request)]),
        max_age=_YEAR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _name(request: HttpRequest) -> str:
    match = request.resolver_match
    return (match.url_name if match else None) or ""


def _visited(request: HttpRequest) -> list[str]:
    cookie = request.COOKIES.get(settings.SIM_VISITED_COOKIE_NAME, "")
    return [name for name in cookie.split(".") if name in SENTENCES]
