"""The sheet Media. The pictures are files beside the workbook, in the folder `media`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.db.models import F

from requests_queue import ids
from requests_queue.catalog.models import ProductMedia
from requests_queue.catalog.representations.products import MEDIA, thumbnail
from requests_queue.catalog.workbooks import sheets
from requests_queue.catalog.workbooks.reading import Row
from requests_queue.catalog.workbooks.session import Session, keep
from requests_queue.catalog.workbooks.sheets import Cells
from requests_queue.catalog.writes import media as writes
from requests_queue.db.rows import set_columns

_COLUMNS = {
    "": "ID",
    "position": "Position",
    "type": "Type",
    "url": "Video URL Location",
    "thumbnail": "Image File",
}


def shown(row: ProductMedia) -> Cells:
    """Return the row of a picture or a video."""
    data = MEDIA.represent(row)
    return {
        "Position": data["position"],
        "ID": data["id"],
        "Action": sheets.NONE,
        "Type": data["type"],
        "Image File": file_name(row),
        "Video URL Location": sheets.NONE if data["type"] == "image" else data["url"],
    }


def file_name(row: ProductMedia) -> str:
    """Return the name of the file of a picture."""
    return f"{row.pk}.{thumbnail(row).rpartition('.')[2]}"


def load_all(session: Session, rows: Sequence[Row]) -> None:
    """Create and update media; new ones without a picture are skipped."""
    stored = ProductMedia.objects.filter(product=session.product)
    held = {each.pk: each for each in stored}
    before = {pk: (shown(each), each.revision) for pk, each in held.items()}
    # Positions are unique: free them before they are set.
    stored.update(position=-F("position"))
    named: list[ProductMedia] = []
    positions: dict[int, str] = {}
    for row in rows:
        with session.row(row, _COLUMNS):
            each = _load(session, row, held)
            if each is not None:
                place = row.place("Position")
                if positions.setdefault(each.position, place) != place:
                    raise row.error("Position", writes.TAKEN)
                named.append(each)
    session.check()
    keep(session, sheets.MEDIA, stored, named)
    for each in held.values():
        if each not in named:
            each.position = _free(each.position, positions)
    _save(session, named, held, before)


def _load(session: Session, row: Row, held: dict[str, ProductMedia]) -> ProductMedia | None:
    """Return the unsaved media of a row, None if it is new and has no picture."""
    pk = row.key("ID")
    form = rf"PRDM-{session.product.pk.removeprefix('PRD-')}-\d\d\d\d\d"
    if pk and not re.fullmatch(form, pk):
        raise row.error("ID", f"Not an id of media of {session.product.pk}.")
    picture = session.pictures.get(row.text("Image File"))
    each = held.get(pk)
    if each is None and picture is None:
        session.skip("media without a picture")
        return None
    body = {
        "position": row.text("Position"),
        "type": row.text("Type"),
        "url": row.key("Video URL Location"),
    }
    values = writes.MediaInput().check(body)
    values["url"] = writes.video_url(values, values["type"])
    if picture is not None and (each is None or bytes(each.content) != picture):
        values |= writes.picture_columns(picture)
    if each is None:
        each = ProductMedia(product=session.product, created=session.at, updated=session.at)
        each.pk = pk or ids.draw(form.replace("\\d", "d"))
    elif "content" in values:
        values["revision"] = each.revision + 1
    set_columns(each, values)
    return each


def _free(position: int, taken: dict[int, str]) -> int:
    """Return the position of media that the file lacks: its own, else the next free one."""
    while position in taken:
        position += 1
    taken[position] = ""
    return position


def _save(
    session: Session,
    named: Sequence[ProductMedia],
    held: dict[str, ProductMedia],
    before: dict[str, tuple[Cells, int]],
) -> None:
    for each in (*held.values(), *(each for each in named if each.pk not in held)):
        if each.pk not in held:
            each.save(force_insert=True)
            session.created(sheets.MEDIA, each.pk)
            continue
        after, (old, revision) = shown(each), before[each.pk]
        changed = [column for column in after if after[column] != old[column]]
        if each.revision != revision and "Image File" not in changed:
            changed.append("Image File")
        if changed:
            each.updated = session.at
            session.updated(sheets.MEDIA, each.pk, changed)
        each.save()
