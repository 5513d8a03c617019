"""Handlers that work on the same order at the same time."""

from __future__ import annotations

import uuid

from tests.checks.handlers.api import Api, ApiError
from tests.checks.handlers.reference import Handler, Json


class _Parallel(Handler):
    """It works in the thread of the call."""

    def process(self, product: str, claims: Json) -> bool:
        try:
            self.approve_pending(Api(self.api_url or claims["api_url"], self.key), product)
        except ApiError as error:
            self.failed(error)
            return False
        return True


class ReadsAgainWithoutLock(_Parallel):
    """It looks whether an order is still pending, and trusts that it stays so."""


class ApprovesWithoutLock(_Parallel):
    """It approves what the list says is pending."""

    def approve(self, api: Api, id: str, template: str) -> None:
        try:
            self.fill(api, api.get(f"/requests/{id}"))
            self.send_approval(api, id, template)
        except ApiError as error:
            if not error.is_refusal:
                raise


class ProvisionsWithoutLock(ApprovesWithoutLock):
    """It creates what the list says is pending, and reports what it has created."""

    def value(self, order: Json, name: str) -> str:
        return str(uuid.uuid4())


class ProvisionsAfterASecondLook(ReadsAgainWithoutLock):
    """It creates an order's tenant if the order is still pending, and trusts that it stays so."""

    def value(self, order: Json, name: str) -> str:
        return str(uuid.uuid4())
