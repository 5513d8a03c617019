"""What a caller did wrong, as sentences, with Connect's code and HTTP status."""

from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """A request that Connect refuses: `status`, `code`, `errors`, optional `params`.

    The API turns it into the envelope `{"error_code", "errors"[, "params"]}`.
    """

    status = 400

    def __init__(
        self,
        code: str,
        *errors: str,
        status: int | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(" ".join(errors))
        self.code = code
        self.errors = list(errors)
        self.params = params
        self.status = status or self.status


class Invalid(Refused):
    """A field's value is wrong: `VAL_001`, `field.path: message`."""

    def __init__(self, *errors: str) -> None:
        super().__init__("VAL_001", *errors)


class IllegalMove(Refused):
    """The object's status doesn't allow the move (400 `REQ_003`; the code is assumed)."""

    def __init__(self, *errors: str) -> None:
        super().__init__("REQ_003", *errors)


class Forbidden(Refused):
    """The account may see the object, but this move isn't its own (403)."""

    status = 403

    def __init__(self, *errors: str) -> None:
        super().__init__("AUTH_002", *(errors or ("You don't have permission to do this.",)))


class Missing(Refused):
    """No such object, or none that this account may see (404)."""

    status = 404

    def __init__(self, what: str) -> None:
        super().__init__("NFND_000", f"Object `{what}` not found.")


class Conflict(Refused):
    """Connect has this already (409); `params` say what it has."""

    status = 409
