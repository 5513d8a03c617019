"""The JSON of usage that no resource declares, in the OpenAPI document."""

from typing import Literal, NotRequired, Required, TypedDict

from requests_queue.schema import (
    Day,
    GivenDate,
    Id,
    Named,
    Stamp,
)

Schema = Literal["qt", "tr", "pr", "cr"]
FilePeriod = TypedDict("FilePeriod", {"from": Day, "to": Day}, total=False)
FilePeriod.__doc__ = "The first and the last day."
GivenFilePeriod = TypedDict("GivenFilePeriod", {"from": GivenDate, "to": GivenDate}, total=False)
GivenFilePeriod.__doc__ = "The first and the last day."


class FileMoment(TypedDict):
    """A moment, and whose."""

    at: Stamp
    by: NotRequired[Named]


class FileEvents(TypedDict, total=False):
    """The moments of a file."""

    created: FileMoment
    uploaded: FileMoment
    submitted: FileMoment
    accepted: FileMoment
    rejected: FileMoment
    closed: FileMoment
    deleted: FileMoment


class UsageFileCreate(TypedDict, total=False):
    """A new file."""

    name: Required[str]
    product: Required[Id]
    contract: Required[Id]
    description: str
    note: str
    external_id: str
    currency: str
    period: GivenFilePeriod


class UsageFileUpdate(TypedDict, total=False):
    """What changes of a file."""

    name: str
    description: str
    note: str
    external_id: str
    currency: str
    period: GivenFilePeriod


class Accept(TypedDict, total=False):
    """What there is to say."""

    acceptance_note: str


class Reject(TypedDict, total=False):
    """What is wrong."""

    rejection_note: str


class CellError(TypedDict):
    """What is wrong in which column."""

    column: str
    code: str
    message: str
    raw_value: str


class InvalidRow(TypedDict):
    """A row that couldn't be read."""

    row: int
    record_id: str
    id: str
    errors: list[CellError]


class RecordItem(TypedDict, total=False):
    """The item of a record; of one that wasn't found, how the row names it."""

    id: Required[str]
    name: Required[str]
    local_id: str
    unit: str
    mpn: str
    precision: str
    type: str


class RecordDecision(TypedDict):
    """Whether a record is billed."""

    status: Literal["approved", "rejected"]


class RecordClose(TypedDict, total=False):
    """What a record is billed by."""

    external_billing_id: str
    external_billing_note: str


class RecordToClose(RecordClose):
    """A record, and what it is billed by."""

    id: str


class ClosedRecord(TypedDict):
    """What became of a record."""

    id: str
    error_details: str
    error_codes: str
    status: NotRequired[str]


class TemplateLink(TypedDict):
    """A link to the workbook that a vendor fills in; it holds for ten minutes."""

    template_link: str


class ErrorDetail(TypedDict, total=False):
    """What is wrong, if anything."""

    detail: str


class ChunkUpdate(TypedDict):
    """What the distributor calls a chunk."""

    external_id: str


class ChunkClose(TypedDict, total=False):
    """What the records of a chunk are billed by."""

    external_billing_id: Required[str]
    external_billing_note: str


class LastReported(TypedDict):
    """A moment of the platform."""

    at: Stamp


class AggregateEvents(TypedDict, total=False):
    """The moments of an aggregate."""

    last_reported: LastReported


class RecordAsset(TypedDict):
    """The subscription of a record."""

    id: str
    external_id: str
    external_uid: str


class UsageAggregate(TypedDict):
    """What was used of an item by a subscription."""

    item: RecordItem
    asset: RecordAsset
    amount: float | None
    currency: str
    consumed: int
    accepted: int
    events: AggregateEvents
