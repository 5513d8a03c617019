"""The JSON of usage that no resource declares, in the OpenAPI document."""

from typing import Literal, NotRequired, Required, TypedDict

from requests_queue.api.schema import Day, Named, Stamp

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


class ErrorDetail(TypedDict, total=False):
    """What is wrong, if anything."""

    detail: str


class LastReported(TypedDict):
    """A moment of the platform."""

    at: Stamp


class AggregateEvents(TypedDict, total=False):
    """The moments of an aggregate."""

    last_reported: LastReported
