"""Secrets of a snapshot: a file has null for those that an import makes anew, else a mask."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.db import models

from requests_queue.redaction import MASK, Redaction
from sandbox.snapshot_files import contents
from sandbox.timeline.call_storage import mask_password, mask_values, without_passwords
from webhooks.http.headers import HARMLESS, masked

Values = dict[str, Any]
# Secrets in texts of any kind: of API keys and tokens, and in URLs.
_FORMS = Redaction()
# In the address of an inquiring form, also in JSON and within another URL.
_CODE = re.compile(r"(code(?:=|%3D|\\u003d))[0-9a-f]{32}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Masks:
    """What is masked in the rows of a snapshot.

    `webhooks` redacts the secrets of all webhooks, `names` are the names and ids of password
    parameters, `parameters` their keys, and the webhooks of the accounts `shown` keep their
    secrets.
    """

    webhooks: Redaction
    names: Collection[str]
    parameters: Collection[int]
    shown: Collection[str]

    def of_table(self, model: type[models.Model]) -> Callable[[Values], None]:
        """Return what masks the values of a row, by column."""
        label = model._meta.label
        redaction = self.webhooks if label in contents.RECORDED else _FORMS
        new = [column for table, column in contents.NEW_SECRETS if table == label]
        headers = [column for table, column in contents.HEADERS if table == label]
        sent = [column for table, column in contents.MASKED_HEADERS if table == label]
        texts = [
            each.attname
            for each in contents.columns(model)
            if not (each.primary_key or each.is_relation or each.choices)
            and each.attname not in (*new, *headers, *sent)
        ]

        def mask(row: Values) -> None:
            for column in texts:
                row[column] = self._masked(redaction, row[column])
            for column in sent:
                row[column] = masked(row[column])
            if label != "webhooks.Webhook" or row["account_id"] not in self.shown:
                row.update(dict.fromkeys(new))
                for column in headers:
                    row[column] = _without_values(row[column])
            self._mask_row(label, redaction, row)

        return mask

    def _masked(self, redaction: Redaction, value: Any) -> Any:
        """Return a text or a JSON value without secrets."""
        if isinstance(value, str):
            return redaction.text(self._text(value))
        if isinstance(value, list | dict):
            text = json.dumps(value)
            found = self._text(text)
            return redaction.value(value if found == text else json.loads(found))
        return value

    def _text(self, text: str) -> str:
        """Return a text without values of password parameters, and codes of forms."""
        return _CODE.sub(rf"\1{MASK}", without_passwords(text, self.names))

    def _mask_row(self, label: str, redaction: Redaction, row: Values) -> None:
        """Mask what is a secret because of another column."""
        if label == "catalog.Parameter":
            mask_password(row, self.names)
        if label == "catalog.Configuration" and row["parameter_id"] in self.parameters:
            mask_values(row)
        if label == "sandbox.ApiCall":
            body = without_passwords(row["request_body"], self.names, row["path"])
            row["request_body"] = body
        if label == "webhooks.Attempt":
            row["response_body"] = self._body(redaction, row)

    def _body(self, redaction: Redaction, attempt: Values) -> bytes:
        """Return the body of a response; of a compressed one only its size."""
        body = bytes(attempt["response_body"])
        headers = {str(name).lower(): str(value) for name, value in attempt["response_headers"]}
        if body and headers.get("content-encoding", "identity").strip().lower() != "identity":
            return f"[compressed, {len(body)} bytes: left out of the file]".encode()
        found = redaction.body(body, is_cut=attempt["truncated"])
        text = found.decode("utf-8", "surrogateescape")
        without = self._text(text)
        return found if without == text else without.encode("utf-8", "surrogateescape")


def _without_values(headers: dict[str, Any]) -> dict[str, Any]:
    """Return the headers with null in place of a value that pages mask."""
    return {name: value if name.lower() in HARMLESS else None for name, value in headers.items()}
