"""What is written of tier account requests, in the OpenAPI document."""

from typing import Literal, TypedDict

from requests_queue.catalog.schema.directory import TierAccountUpdate


class ChangedAccount(TierAccountUpdate, total=False):
    """A tier account by `id`, `external_uid` or `external_id`, and what changes of it."""

    id: str


class TierAccountRequestCreate(TypedDict):
    """A change of a tier account."""

    type: Literal["update"]
    account: ChangedAccount


class Ignore(TypedDict, total=False):
    """Why the change isn't kept."""

    reason: str
