"""Validation of a webhook's fields for the API, the admin and the portal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from requests_queue import json_validation
from requests_queue.catalog.models import Account, Connection, Product
from requests_queue.errors import FieldError, Invalid
from webhooks import types
from webhooks.delivery.request import check_secret
from webhooks.http.addresses import check_literal
from webhooks.http.client import check_url
from webhooks.http.headers import HeaderRefused, check_headers
from webhooks.types import WebhookType

REQUIRED = ("label", "product_id", "object_class", "external_url", "jwt_secret")


def for_create(data: Mapping[str, Any], account: Account) -> dict[str, Any]:
    """Return the fields of a new webhook; raises Invalid with all errors."""
    errors = [
        FieldError(name, "This field is required.", "required")
        for name in REQUIRED
        if data.get(name) is None
    ]
    fields: dict[str, Any] = {}
    if data.get("product_id") is not None:
        fields["product"] = _product(data["product_id"], account, errors)
    if data.get("object_class") is not None:
        fields |= _type(data, account, fields.get("product"), errors)
    try:
        type_ = fields.get("type", types.EVENT)
        fields |= for_update({k: v for k, v in data.items() if v is not None}, type_)
    except Invalid as refused:
        errors += refused.errors
    if errors:
        raise Invalid.of(errors)
    return fields


def for_update(
    data: Mapping[str, Any], type_: str = types.EVENT, stored_url: str = ""
) -> dict[str, Any]:
    """Return the fields that a body changes of a webhook of this type; raises Invalid.

    Type, object class and product can't change, but published clients send them (MuleSoft even
    with a wrong type), so they are ignored. Clients also send the unchanged URL with every change,
    so `stored_url` is accepted even if its address is forbidden now.
    """
    fields: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, check in FIELD_VALIDATORS.items():
        if name not in data:
            continue
        try:
            fields[name] = check(data[name])
        except HeaderRefused as refused:
            errors.append(FieldError(f"headers.{refused.name}", str(refused)))
        except ValueError as refused:
            errors.append(FieldError(name, str(refused)))
    if fields.get("external_url", stored_url) != stored_url:
        try:
            check_literal(fields["external_url"])
        except ValueError as refused:
            errors.append(FieldError("external_url", str(refused)))
    if type_ != types.EVENT and fields.get("http_method") == "GET":
        message = "Validators are called by POST: a GET has no body for the object."
        errors.append(FieldError("http_method", message))
    if errors:
        raise Invalid.of(errors)
    return fields


def products(account: Account) -> QuerySet[Product]:
    """Return the products for which an account may have webhooks: its own, or those it sells."""
    if account.is_vendor:
        return Product.objects.filter(owner=account)
    sold = Connection.objects.filter(provider=account)
    return Product.objects.filter(pk__in=sold.values("product"))


def _product(product_id: Any, account: Account, errors: list[FieldError]) -> Product | None:
    found = products(account).filter(pk=str(product_id)).first()
    if found is None:
        errors.append(FieldError("product_id", f"Product {product_id} does not exist."))
    return found


def _type(
    data: Mapping[str, Any], account: Account, product: Product | None, errors: list[FieldError]
) -> dict[str, Any]:
    type_, object_class = data.get("type"), data["object_class"]
    if type_ is None or type_ == "":
        type_ = types.EVENT
    if not isinstance(type_, str) or not isinstance(object_class, str):
        errors.append(FieldError("type", "Not a valid string."))
        return {}
    if object_class not in dict(types.object_class_choices()):
        errors.append(FieldError("object_class", f'"{object_class}" is not a valid choice.'))
    elif type_ not in dict(types.type_choices()):
        errors.append(FieldError("type", f'"{type_}" is not a valid choice.'))
    elif (found := types.find(type_, object_class)) is None:
        message = f'"{type_}" does not fit object class {object_class}.'
        errors.append(FieldError("type", message))
    elif lacking := why_unavailable(found, account, product):
        errors.append(FieldError("type", lacking))
    return {"type": type_, "object_class": object_class}


def why_unavailable(found: WebhookType, account: Account, product: Product | None) -> str:
    """Return why an account can't have a webhook of a type for a product; empty if it can."""
    if found.trigger is None:
        return ""
    if not account.is_vendor:
        return "Validators are for vendors only."
    if product is None or not (lacking := found.trigger.missing_capability(product)):
        return ""
    return (
        f"{product.pk} does not have the capability {lacking}, so webhooks of type "
        f"{found.type} are never called. Switch it on first."
    )


def _text(limit: int | None, *, blank: bool) -> Any:
    def check(value: Any) -> str:
        if value is None and blank:
            return ""
        if not isinstance(value, str):
            raise ValueError("Not a valid string.")
        if not value.strip() and not blank:
            raise ValueError("This field may not be blank.")
        if limit and len(value) > limit:
            raise ValueError(f"Ensure this field has no more than {limit} characters.")
        json_validation.validate_json(value)
        return value

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Must be a valid boolean.")
    return value


def _method(value: Any) -> str:
    if value not in ("GET", "POST"):
        raise ValueError(f'"{value}" is not a valid choice.')
    return str(value)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("Expected a JSON object.")
    json_validation.validate_json(value)
    return value


def _headers(value: Any) -> dict[str, str]:
    return check_headers(_object(value))


def _url(value: Any) -> str:
    return check_url(_text(4096, blank=False)(value))


FIELD_VALIDATORS: dict[str, Any] = {
    "label": _text(100, blank=False),
    "description": _text(None, blank=True),
    "active": _flag,
    "external_url": _url,
    "http_method": _method,
    "jwt_secret": check_secret,
    "headers": _headers,
    "data": _object,
}
