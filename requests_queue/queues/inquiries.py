"""What fulfillment and tier configuration requests do alike: parameters, inquiries, templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from requests_queue import assumptions
from requests_queue.catalog import parameter_values as parameters
from requests_queue.catalog.actors import DISTRIBUTOR, VENDOR, Actor
from requests_queue.catalog.models import Template
from requests_queue.db.rows import get_named
from requests_queue.errors import Invalid, MissedField, Refused
from requests_queue.queues.base import Context


def first_status(params: parameters.Params) -> str:
    """Return the first status: inquiring while required ordering parameters are empty."""
    return "inquiring" if parameters.missing(params, "ordering") else "pending"


def writable(actor: Actor) -> tuple[str, ...]:
    """Return the phases of the parameters that a caller may set."""
    return ("ordering", "fulfillment") if actor.role == VENDOR else ("ordering",)


def check_inquiry(params: parameters.Params) -> None:
    """Raise Refused unless at least one parameter has an error."""
    if not any(p["value_error"] for p in params):
        raise Refused(
            "REQ_003",
            "For marking request to inquiring status at least one parameter should be marked as "
            "invalid.",
        )


def answered(request: Any, context: Context, given: Any, path: str) -> parameters.Params:
    """Return the parameters after an inquiry, with the values given; raises Invalid.

    What the customer answers, by the form (whose link has a `code`) or through the distributor,
    loses its error, also if the value is the same. Other errors stay, unless the assumption
    value_errors clears them.
    """
    code = context.data.get("code")
    if code is not None and code != request.form_code:
        raise Invalid("code", "This link is not valid for the request.")
    if code is not None and given is None:
        raise Invalid(path, "This field is required.")
    is_answer = code is not None or context.actor.role == DISTRIBUTOR
    filled = parameters.fill(request.params, given, ("ordering",), path, anew=is_answer)
    if assumptions.value("value_errors") == "cleared":
        return parameters.without_errors(filled)
    if not is_answer:
        return filled
    ordering = {param["id"] for param in filled if param["phase"] == "ordering"}
    answers = {entry["id"] for entry in given or () if _is_answer(entry, code is not None)}
    return parameters.without_errors(filled, ordering & answers)


def _is_answer(entry: Mapping[str, Any], is_of_form: bool) -> bool:
    """Whether an entry has a value that isn't sent back with its error, as it was read.

    The form's fields may be empty, too: the customer has seen them.
    """
    values = [entry[key] for key in ("value", "structured_value") if key in entry]
    has_value = bool(values) if is_of_form else any(v not in (None, "", {}) for v in values)
    return has_value and not entry.get("value_error")


def handed_over(params: parameters.Params) -> parameters.Params:
    """Return a request's parameters as its subscription or configuration gets them."""
    is_cleared = assumptions.value("value_errors") == "cleared"
    return parameters.without_errors(params) if is_cleared else params


def check_filled(params: parameters.Params, path: str) -> None:
    """Raise Invalid with each required fulfillment parameter that is empty."""
    if missing := parameters.missing(params, "fulfillment"):
        raise Invalid.of(parameters.required(name, path) for name in missing)


def template(product_id: str, scope: str, pk: str | None, path: str) -> Template:
    """Return the template that an action names at `path`, or the default one of an approval.

    Raises Invalid, or MissedField where there is none.
    """
    rows = Template.objects.filter(product=product_id, scope=scope)
    if pk is not None:
        return get_named(rows, pk, path, "Template")
    default = rows.filter(type="fulfillment").first()
    if default is None or assumptions.value("approve_template") == "required":
        raise MissedField(path)
    return default


def reason(request: Any, context: Context) -> dict[str, Any]:
    return {"reason": context.data["reason"]}


def form_url(request: Any) -> str:
    """Return the URL of the inquiry's form, an empty string unless an inquiry is open."""
    if request.status != "inquiring":
        return ""
    return f"{settings.SIM_PUBLIC_URL}/forms/{request.pk}?code={request.form_code}"
