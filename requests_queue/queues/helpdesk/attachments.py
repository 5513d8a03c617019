"""Attachments of helpdesk cases: files of both parties, also of closed cases."""

from __future__ import annotations

import mimetypes
import re
from urllib.parse import quote

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse

from requests_queue import clock, ids, topics
from requests_queue.api import json_validation
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.spreadsheets import limits
from requests_queue.catalog.writes.media import type_of_picture
from requests_queue.db.rows import get_row
from requests_queue.errors import Forbidden, Invalid, Missing, Refused
from requests_queue.queues.helpdesk.models import Attachment, Case

MAX_BYTES = 10 * limits.MIB
# Of a case; ours, as the size of a file.
MOST = 50
ATTACHMENT, PREVIEW = "attachment", "preview"
# Those of Office documents have 73 characters.
_TYPE = re.compile(r"(?=.{3,100}$)[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*")
_ANY_TYPE = "application/octet-stream"


@transaction.atomic
def add(case_id: str, file: UploadedFile[bytes], actor: Actor) -> Attachment:
    """Add a file to a case; raises Invalid, Missing, Refused (413, or too many)."""
    assert actor.account is not None
    content = bytes(file.read())
    if len(content) > MAX_BYTES:
        raise limits.too_large("file", MAX_BYTES)
    if not content:
        raise Invalid("file", "The submitted file is empty.")
    case = get_row(Case.objects.select_for_update(), case_id)
    if case.attachments.count() >= MOST:
        raise Refused("REQ_003", f"{case_id} has {MOST} attachments, which is the limit.")
    row = ids.create(
        Attachment(
            case=case,
            account=actor.account,
            name=_name(file),
            type=_type(file),
            size=len(content),
            preview_type=type_of_picture(content),
            content=content,
            created=clock.shown(clock.now()),
            created_by=actor.user,
        ),
        "CAAT-ddd-ddd-ddd",
    )
    topics.announce_objects(case.parties(), case_id)
    return row


def _name(file: UploadedFile[bytes]) -> str:
    try:
        json_validation.validate_json(file.name)
    except json_validation.NotStorable as refused:
        raise Invalid("file", str(refused)) from None
    return str(file.name)[:255]


def _type(file: UploadedFile[bytes]) -> str:
    """Return the media type that a form names for its file, or else that of the file's name."""
    given = str(file.content_type or "").lower()
    if _TYPE.fullmatch(given) and given != _ANY_TYPE:
        return given
    return mimetypes.guess_type(str(file.name))[0] or _ANY_TYPE


def remove(row: Attachment, actor: Actor) -> None:
    """Delete an attachment of the caller's account; raises Forbidden, Missing."""
    if actor.account is None or row.account_id != actor.account.pk:
        raise Forbidden("An attachment is deleted by the account that added it.")
    deleted, _ = Attachment.objects.filter(pk=row.pk).delete()
    if not deleted:
        raise Missing(row.pk)
    topics.announce_objects(row.case.parties(), row.case_id)


def address(row: Attachment, form: str) -> str:
    """Return the path of the content, relative to the host."""
    path = f"/public/v1/helpdesk/cases/{row.case_id}/attachments/{row.pk}"
    return f"{path}?format={form}"


def of_case(case: Case) -> QuerySet[Attachment]:
    """Return the attachments of a case without their contents, which are fetched one by one."""
    return case.attachments.select_related("account", "created_by").defer("content")


def download(row: Attachment, form: str = ATTACHMENT) -> HttpResponse:
    """Return the content of an attachment, or its preview; raises Invalid, Missing."""
    if form not in (ATTACHMENT, PREVIEW):
        raise Invalid("format", f'"{form}" is not one of {ATTACHMENT}, {PREVIEW}.')
    if form == PREVIEW and not row.preview_type:
        raise Missing(f"preview of {row.pk}")
    # Never shown in a page: a browser saves what a party has uploaded.
    return HttpResponse(
        bytes(row.content),
        content_type=row.preview_type if form == PREVIEW else row.type,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.name, safe='')}"},
    )
