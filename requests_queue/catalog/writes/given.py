"""The fields of a body, read one by one; what is wrong is said as `field.path: message`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from requests_queue import body
from requests_queue.errors import Invalid


@dataclass(frozen=True, slots=True)
class Given:
    """An object of a body; `path` says where in the body it is."""

    data: Mapping[str, Any]
    path: str = ""

    def __contains__(self, name: str) -> bool:
        return name in self.data

    def wrong(self, name: str, message: str) -> Invalid:
        """Return the error of a field."""
        return Invalid(f"{self.path}{name}", message)

    def text(self, name: str, limit: int | None = None, *, blank: bool = True) -> str:
        """Return a text, numbers included; raises Invalid."""
        value = self.data.get(name)
        if value is None and not blank:
            raise self.wrong(name, "This field is required.")
        found = body.text_of(value, f"{self.path}{name}", limit)
        if not blank and not found.strip():
            raise self.wrong(name, "This field may not be blank.")
        return found

    def choice(self, name: str, words: Iterable[str]) -> str:
        """Return one of the words, as they have it; case doesn't count. Raises Invalid."""
        value = self.data.get(name)
        if value is None:
            raise self.wrong(name, "This field is required.")
        if isinstance(value, str):
            for word in words:
                if word.lower() == value.lower():
                    return word
        raise self.wrong(name, f'"{value}" is not a valid choice.')

    def switch(self, name: str) -> bool:
        """Return true or false; raises Invalid."""
        value = self.data.get(name)
        if not isinstance(value, bool):
            raise self.wrong(name, "Must be a valid boolean.")
        return value

    def number(self, name: str, low: int, high: int) -> int:
        """Return a whole number between both; raises Invalid."""
        value = self.data.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, "A valid integer is required.")
        if not low <= value <= high:
            raise self.wrong(name, f"Ensure this value is between {low} and {high}.")
        return value

    def inner(self, name: str) -> Given:
        """Return an object within; raises Invalid where there is none."""
        value = self.data.get(name)
        if value is None:
            raise self.wrong(name, "This field is required.")
        if not isinstance(value, Mapping):
            raise self.wrong(name, "Expected an object.")
        return Given(value, f"{self.path}{name}.")

    def several(self, name: str) -> list[Any]:
        """Return a list, empty where there is none; raises Invalid."""
        value = self.data.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "Expected a list of items.")
        return value

    def id_of(self, name: str) -> str:
        """Return the id of an object within that names another; raises Invalid."""
        inner = self.inner(name)
        found = inner.text("id", blank=False)
        if not isinstance(inner.data["id"], str):
            raise inner.wrong("id", "Not a valid string.")
        return found
