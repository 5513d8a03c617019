"""Validation of a webhook's fields for the API, the admin and the portal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError

from requests_queue.api.fields import Boolean, Choice, Free, Id, Input, String, Values
from requests_queue.api.json_validation import validate_json
from requests_queue.catalog.models import Account, Connection, Product
from requests_queue.errors import FieldError, Invalid, field_errors
from webhooks import types
from webhooks.delivery.request import check_secret
from webhooks.http.addresses import check_literal
from webhooks.http.headers import HeaderRefused, check_headers
from webhooks.http.urls import check_url
from webhooks.types import WebhookType

T = TypeVar("T")


class UrlField(String):
    """The URL of a handler, stored as it will be requested."""

    openapi = {"type": "string", "format": "uri", "maxLength": 4096}

    def to_internal_value(self, data: Any) -> str:
        """Return the URL, normalized; raises ValidationError."""
        return _checked(check_url, super().to_internal_value(data))


class SecretField(String):
    """A secret that can sign tokens."""

    def to_internal_value(self, data: Any) -> str:
        """Return the secret; raises ValidationError."""
        return _checked(check_secret, super().to_internal_value(data))


class HeadersField(Free):
    """Headers as they will be sent."""

    openapi = {"type": "object", "additionalProperties": {"type": "string"}}

    def to_internal_value(self, data: Any) -> dict[str, str]:
        """Return the headers; raises ValidationError."""
        try:
            return check_headers(super().to_internal_value(data))
        except HeaderRefused as refused:
            raise ValidationError({refused.name: str(refused)}) from None


class DataField(Free):
    """Data that can be stored, from a body, a form, or a changed payload."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the data; raises ValidationError."""
        return _checked(validate_json, super().to_internal_value(data))


def _checked(check: Callable[[Any], T], value: Any) -> T:
    try:
        return check(value)
    except ValueError as refused:
        raise ValidationError(str(refused)) from None


class WebhookUpdate(Input):
    """What changes of a webhook."""

    label = String(100, required=True)  # type: ignore[assignment]
    description = String()
    active = Boolean()
    external_url = UrlField(4096, required=True)
    http_method = Choice(("GET", "POST"))
    jwt_secret = SecretField(required=True)
    headers = HeadersField()
    data = DataField()  # type: ignore[assignment]


class WebhookInput(WebhookUpdate):
    """A new webhook; `event` is the default type."""

    product_id = Id(required=True)
    object_class = String(required=True)
    type = Id()


CREATE, UPDATE = WebhookInput(), WebhookUpdate(partial=True)
FIELDS = tuple(UPDATE.fields)


def for_create(data: Mapping[str, Any], account: Account) -> dict[str, Any]:
    """Return the columns of a new webhook; raises Invalid with all errors."""
    body = {name: value for name, value in data.items() if value is not None}
    values, wrong = CREATE.collect(body)
    errors = list(field_errors(wrong))
    columns = {name: values[name] for name in values if name in FIELDS}
    if "product_id" in values:
        columns["product"] = _product(values["product_id"], account, errors)
    if "object_class" in values and "type" not in wrong:
        columns |= _type(values, account, columns.get("product"), errors)
    errors += _conflicts(columns, columns.get("type", types.EVENT), "")
    if errors:
        raise Invalid.of(errors)
    return columns


def for_update(
    data: Mapping[str, Any], type_: str = types.EVENT, stored_url: str = ""
) -> dict[str, Any]:
    """Return the columns that a body changes of a webhook of this type; raises Invalid.

    Type, object class and product can't change, but published clients send them (MuleSoft even
    with a wrong type), so they are ignored. Clients also send the unchanged URL with every change,
    so `stored_url` is accepted even if its address is forbidden now.
    """
    columns, wrong = UPDATE.collect(data)
    errors = [*field_errors(wrong), *_conflicts(columns, type_, stored_url)]
    if errors:
        raise Invalid.of(errors)
    return columns


def _conflicts(columns: Values, type_: str, stored_url: str) -> Iterator[FieldError]:
    """Yield what is wrong with a webhook of that type beyond each field by itself."""
    if columns.get("external_url", stored_url) != stored_url:
        try:
            check_literal(columns["external_url"])
        except ValueError as refused:
            yield FieldError("external_url", str(refused))
    if type_ != types.EVENT and columns.get("http_method") == "GET":
        message = "Validators are called by POST: a GET has no body for the object."
        yield FieldError("http_method", message)


def products(account: Account) -> QuerySet[Product]:
    """Return the products for which an account may have webhooks: its own, or those it sells."""
    if account.is_vendor:
        return Product.objects.filter(owner=account)
    sold = Connection.objects.filter(provider=account)
    return Product.objects.filter(pk__in=sold.values("product"))


def _product(product_id: str, account: Account, errors: list[FieldError]) -> Product | None:
    product = products(account).filter(pk=product_id).first()
    if product is None:
        errors.append(FieldError("product_id", f"Product {product_id} does not exist."))
    return product


def _type(
    values: Values, account: Account, product: Product | None, errors: list[FieldError]
) -> dict[str, Any]:
    type_, object_class = values.get("type") or types.EVENT, values["object_class"]
    if object_class not in dict(types.object_class_choices()):
        errors.append(FieldError("object_class", f'"{object_class}" is not a valid choice.'))
    elif type_ not in dict(types.type_choices()):
        errors.append(FieldError("type", f'"{type_}" is not a valid choice.'))
    elif (webhook_type := types.find(type_, object_class)) is None:
        message = f'"{type_}" does not fit object class {object_class}.'
        errors.append(FieldError("type", message))
    elif lacking := why_unavailable(webhook_type, account, product):
        errors.append(FieldError("type", lacking))
    return {"type": type_, "object_class": object_class}


def why_unavailable(webhook_type: WebhookType, account: Account, product: Product | None) -> str:
    """Return why an account can't have a webhook of a type for a product; empty if it can."""
    if webhook_type.trigger is None:
        return ""
    if not account.is_vendor:
        return "Validators are for vendors only."
    if product is None or not (lacking := webhook_type.trigger.missing_capability(product)):
        return ""
    return (
        f"{product.pk} does not have the capability {lacking}, so webhooks of type "
        f"{webhook_type.type} are never called. Switch it on first."
    )
