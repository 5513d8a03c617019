"""Views of the catalog whose writes have an entry in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.fields import Input
from requests_queue.catalog import audit
from requests_queue.catalog.rest import Collection

# By the view's method; other actions change their object.
_ACTIONS = {"create": audit.Action.CATALOG_CREATE, "destroy": audit.Action.CATALOG_DELETE}


class AuditedCollection(Collection):
    """Objects that are written by the API: each write is a transaction with its entry."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let a write, once it is allowed, record itself."""
        super().initial(request, *args, **kwargs)
        name = (request.method or "").lower()
        write = getattr(self, name, None)
        if write is not None and request.method not in ("GET", "HEAD", "OPTIONS"):
            setattr(self, name, partial(self._recorded, write))

    @transaction.atomic
    def _recorded(
        self, write: Callable[..., Response], request: Request, *args: Any, **kwargs: Any
    ) -> Response:
        response = write(request, *args, **kwargs)
        action = _ACTIONS.get(self.action, audit.Action.CATALOG_EDIT)
        shown = response.data if isinstance(response.data, Mapping) else {}
        audit.record(
            action,
            self.documented.one if self.documented else "",
            kwargs.get("pk") or shown.get("id", ""),
            account=self.account.pk,
            fields=self._changed() if action is audit.Action.CATALOG_EDIT else (),
        )
        return response

    def _changed(self) -> set[str]:
        """Return the names in the body that the call takes."""
        taken = self.bodies.get(self.action)
        return set(taken.fields) & set(self.data) if isinstance(taken, Input) else set()
