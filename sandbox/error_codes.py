"""What a caller of `/sandbox/…` can do about an error, by its code; knows no Django.

Errors of Connect's API stay as Connect's are: `{"error_code", "errors"}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """What to do about an error, and whether the same request may succeed later."""

    hint: str
    is_retryable: bool = False


CODES = {
    "AUTH_001": ErrorCode(
        "Send the header `Authorization: ApiKey …` with a key that `connect-sim env` prints."
    ),
    "AUTH_002": ErrorCode("Use a key of the account that may do this, with the path's module."),
    "CHK_001": ErrorCode("Wait until the checks have ended, or cancel them.", True),
    "CLK_001": ErrorCode("Wait until `moving` of /sandbox/clock is false, and try again.", True),
    "CLK_002": ErrorCode("Read /sandbox/clock, and move from there if it is still needed."),
    "FLT_001": ErrorCode("Use another name, or clear the fault first."),
    "LSE_001": ErrorCode("Try again, or let the request wait for the lease with `wait`.", True),
    "NFND_000": ErrorCode("List the objects of this kind; /sandbox/schema has all paths."),
    "REQ_003": ErrorCode("Read the status of the object, and run an action that it allows."),
    "REQ_005": ErrorCode("Send the fields that `errors` names."),
    "REQ_400": ErrorCode("Send a complete HTTP request, as RFC 9112 defines it."),
    "REQ_405": ErrorCode("Use a method that /sandbox/schema has for this path."),
    "REQ_408": ErrorCode("Send the whole request without a pause.", True),
    "REQ_413": ErrorCode("Send less: the message has the limit."),
    "SNP_001": ErrorCode("Use another name, or send `replace` with true."),
    "SNP_002": ErrorCode("Delete the snapshot, and save another with this version."),
    "SNP_003": ErrorCode("Delete the snapshot, and save another."),
    "SNP_004": ErrorCode("Save one within the limit that `errors` names: only files have it."),
    "SNP_005": ErrorCode("Try again: the other snapshot of this name has been saved.", True),
    "SNP_501": ErrorCode("Give the database user the privilege that `errors` names."),
    "SYS_001": ErrorCode("Read the log of the sandbox, and report the error there."),
    "SYS_429": ErrorCode("Try again when other requests have ended.", True),
    "SYS_501": ErrorCode("Run the command that `errors` has, and start the sandbox again."),
    "SYS_503": ErrorCode("Try again in a few seconds.", True),
    "VAL_001": ErrorCode("Correct what `errors` names; /sandbox/schema has the fields."),
    "WAIT_001": ErrorCode(
        "Read `reasons` and `near_misses`. With `skip`, time moves to what is due."
    ),
    "WAIT_002": ErrorCode("Try again when other waits of the API key have ended.", True),
    "WH_001": ErrorCode("Enable the webhook, and send the request again."),
    "WH_002": ErrorCode("Trigger the webhook instead."),
}
# Of the queues' own codes, such as TAR_003.
_OTHER = ErrorCode("Correct what `errors` says, and send the request again.")


def advice(code: str) -> dict[str, Any]:
    """Return `{"hint", "retryable"}` of an error's code."""
    found = CODES.get(code, _OTHER)
    return {"hint": found.hint, "retryable": found.is_retryable}


def of_path(path: str, code: str) -> dict[str, Any]:
    """Return the advice of an error, empty unless the path is one of the sandbox."""
    return advice(code) if f"{path}/".startswith("/sandbox/") else {}
