"""The types of usage files and their records in the OpenAPI document."""

from typing import Any, Literal, NotRequired, Required, TypedDict

from requests_queue.catalog.schema import Environment
from requests_queue.schema import (
    Answer,
    Day,
    Documented,
    Form,
    GivenDate,
    Id,
    Named,
    Pictured,
    Stamp,
)

Schema = Literal["qt", "tr", "pr", "cr"]
FilePeriod = TypedDict("FilePeriod", {"from": Day, "to": Day}, total=False)
FilePeriod.__doc__ = "The first and the last day."
GivenFilePeriod = TypedDict("GivenFilePeriod", {"from": GivenDate, "to": GivenDate}, total=False)
GivenFilePeriod.__doc__ = "The first and the last day."


class FileStats(TypedDict):
    """How many records are how far."""

    uploaded: int
    validated: int
    pending: int
    accepted: int
    closed: int
    billed: int


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


class UsageFile(TypedDict):
    """A file of usage records."""

    id: str
    name: str
    description: str
    note: str
    external_id: str
    status: Literal[
        "draft", "uploading", "uploaded", "invalid", "processing", "ready", "rejected", "pending",
        "accepted", "closed", "deleted",
    ]  # fmt: skip
    vendor: Pictured
    provider: Pictured
    environment: Environment
    marketplace: Pictured
    contract: Named
    product: Pictured
    schema: Schema
    currency: str
    period: FilePeriod
    error_detail: str
    acceptance_note: str
    rejection_note: str
    stats: FileStats
    events: FileEvents


class FileRecords(TypedDict):
    """How many records there are of each kind."""

    valid: int
    invalid: int
    closed: int


class UsageFileDetail(UsageFile):
    """A file of usage records, with links to its contents that hold for ten minutes."""

    sub_status: str | None
    records: FileRecords
    usage_file_uri: str
    processed_file_uri: str
    reconciliation_file_uri: str


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


class RecordAsset(TypedDict):
    """The subscription of a record."""

    id: str
    external_id: str
    external_uid: str


class RecordFile(TypedDict):
    """The file of a record."""

    id: str
    name: str
    schema: Schema
    currency: str


class UsageRecord(TypedDict):
    """A row of a usage file."""

    id: str
    status: Literal["valid", "invalid", "approved", "rejected", "closed"]
    start_date: NotRequired[Stamp]
    end_date: NotRequired[Stamp]
    product_id: str
    item: RecordItem
    item_id: str
    resource_local_id: str
    asset: RecordAsset
    asset_id: str
    asset_external_id: str
    asset_external_uid: str
    category: str
    tier: int | None
    amount: float | None
    multiplier: float
    usage: float | None
    params: list[Any]
    usagefile: RecordFile
    external_billing_id: str
    external_billing_note: str
    closed_at: Stamp | None
    closed_by: str | None


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


class FileReference(TypedDict):
    """A usage file, as its parts refer to it."""

    id: str
    name: str
    schema: Schema
    currency: str


class Binding(TypedDict):
    """The hub that a part of a file goes to."""

    hub: Named
    external_id: str


class UsageChunk(TypedDict):
    """The part of an accepted usage file that goes to one hub."""

    id: str
    status: Literal["draft", "ready", "closed", "failed"]
    outdated: bool
    usagefile: FileReference
    binding: Binding
    marketplace: Pictured
    error: ErrorDetail
    events: FileEvents
    stats: FileStats
    provider: Pictured
    external_id: str


class ChunkUpdate(TypedDict):
    """What the distributor calls a chunk."""

    external_id: str


class ChunkClose(TypedDict, total=False):
    """What the records of a chunk are billed by."""

    external_billing_id: Required[str]
    external_billing_note: str


class ChunkReference(TypedDict):
    """A chunk, and who bills it."""

    id: str
    provider: Pictured


class Notes(TypedDict):
    """What was said of a reconciliation."""

    uploaded: str
    processing: str


class Reconciliation(TypedDict):
    """A spreadsheet that closed records of a usage file."""

    id: str
    status: Literal["uploaded", "processing", "processed", "failed"]
    usagefile: FileReference
    partusagefile: NotRequired[ChunkReference]
    binding: NotRequired[Binding]
    error: ErrorDetail
    notes: Notes
    events: FileEvents


class LastReported(TypedDict):
    """A moment of the platform."""

    at: Stamp


class AggregateEvents(TypedDict, total=False):
    """The moments of an aggregate."""

    last_reported: LastReported


class UsageAggregate(TypedDict):
    """What was used of an item by a subscription."""

    item: RecordItem
    asset: RecordAsset
    amount: float | None
    currency: str
    consumed: int
    accepted: int
    events: AggregateEvents


_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_WORKBOOK, _UPLOADED = Answer(200, str, (_SHEET,)), Answer(200, str, (_SHEET, "text/csv"))
CHUNKS = Documented(
    "Usage", "usage chunk", UsageChunk, bodies={"update": ChunkUpdate, "close": ChunkClose},
    answers={"download": _WORKBOOK},
)  # fmt: skip
RECONCILIATIONS = Documented(
    "Usage", "usage reconciliation", Reconciliation,
    bodies={"create": Form("recon_file", upload_note=str)},
    answers={
        "uploadedfile": _UPLOADED, "processedfile": _WORKBOOK,
    },
)  # fmt: skip
AGGREGATES = Documented("Usage", "usage aggregate", UsageAggregate)
USAGE_FILES = Documented(
    "Usage", "usage file", UsageFileDetail, listed=UsageFile,
    bodies={
        "create": UsageFileCreate, "update": UsageFileUpdate, "accept": Accept, "reject": Reject,
        "upload": Form("usage_file"), "reconciliation": Form("recon_file"),
    },
    answers={
        "upload": Answer(201, UsageFileDetail), "errors": Answer(200, list[InvalidRow]),
    },
)  # fmt: skip
USAGE_RECORDS = Documented(
    "Usage", "usage record", UsageRecord,
    bodies={
        "update": RecordDecision, "close": RecordClose, "close_many": list[RecordToClose],
    },
    answers={"close_many": Answer(206, list[ClosedRecord])},
)  # fmt: skip
USAGE_PRODUCTS = Documented(
    "Usage", "product with usage", answers={"template": Answer(200, TemplateLink)}
)
