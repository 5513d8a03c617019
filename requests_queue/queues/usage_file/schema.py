"""The JSON of usage that no resource declares, in the OpenAPI document."""

from typing import Literal, NotRequired, Required, TypedDict

from requests_queue.schema import (
    Day,
    Named,
    Stamp,
)

Schema = Literal["qt", "tr", "pr", "cr"]
FilePeriod = TypedDict("FilePeriod", {"from": Day, "to": Day}, total=False)
FilePeriod.__doc__ = "The first and the last day."


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
