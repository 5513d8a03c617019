"""Errors of callers: data until they are rendered, with Connect's code and HTTP status."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error and the dotted path of the field that it is about; no path for a whole request.

    `entry` is the id of the entry of a list that it is about, for instance a parameter's. The
    API's `sentence` is the message, unless it has to name that entry.
    """

    path: str
    message: str
    code: str = "invalid"
    entry: str = ""
    sentence: str = ""

    def __str__(self) -> str:
        """Return the error as Connect's API renders it."""
        sentence = self.sentence or self.message
        return f"{self.path}: {sentence}" if self.path else sentence


def field_errors(detail: Any, path: str = "") -> Iterator[FieldError]:
    """Yield the errors of DRF's tree (`ValidationError.detail`), each with its dotted path."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            # Places in a list are no part of Connect's paths.
            is_key = isinstance(key, str) and key != "non_field_errors"
            yield from field_errors(value, f"{path}.{key}".lstrip(".") if is_key else path)
    elif isinstance(detail, list):
        for value in detail:
            yield from field_errors(value, path)
    else:
        yield FieldError(path, str(detail), getattr(detail, "code", None) or "invalid")


class Refused(Exception):
    """A request that Connect refuses: `status`, `code`, `errors`, optional `params`.

    The API renders it as the envelope `{"error_code", "errors"[, "params"]}`.
    """

    status = 400

    def __init__(
        self,
        code: str,
        *errors: str | FieldError,
        status: int | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.errors = [FieldError("", e) if isinstance(e, str) else e for e in errors]
        super().__init__(" ".join(self.messages))
        self.code = code
        self.params = params
        self.status = status or self.status

    @property
    def messages(self) -> list[str]:
        """The errors as the API renders them."""
        return [str(error) for error in self.errors]


class Invalid(Refused):
    """A field's value is wrong: `VAL_001`."""

    def __init__(self, path: str, message: str, code: str = "invalid") -> None:
        super().__init__("VAL_001", FieldError(path, message, code))

    @classmethod
    def of(cls, errors: Iterable[FieldError]) -> Self:
        """Return the refusal of several fields."""
        refused = cls.__new__(cls)
        Refused.__init__(refused, "VAL_001", *errors)
        return refused


class MissedField(Refused):
    """An action lacks a field that it needs: `REQ_005`."""

    def __init__(self, path: str) -> None:
        error = FieldError(path, "This field is required.", "required")
        super().__init__("REQ_005", error)

    @property
    def messages(self) -> list[str]:
        """Connect's own sentence."""
        return [f"Missed fields: {error.path}." for error in self.errors]


class ActionNotAllowed(Refused):
    """The object's status doesn't allow the action (400 `REQ_003`, whose code is assumed)."""

    def __init__(self, *errors: str, code: str = "REQ_003") -> None:
        super().__init__(code, *errors)


class Forbidden(Refused):
    """The account may see the object, but not take the action (403)."""

    status = 403

    def __init__(self, *errors: str) -> None:
        super().__init__("AUTH_002", *(errors or ("You don't have permission to do this.",)))


class Missing(Refused):
    """No such object, or none that this account may see (404)."""

    status = 404

    def __init__(self, what: str, more: str = "") -> None:
        super().__init__("NFND_000", f"Object `{what}` not found.{more}")


class Conflict(Refused):
    """Connect has this already (409); `params` say what it has."""

    status = 409
