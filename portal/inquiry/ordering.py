"""The order of the checks of one form, so that an older one never overwrites a newer one's values.

The script does not wait for a check before it starts the next one, and a slow handler may answer
the first check last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from django.db import transaction
from django.http import QueryDict
from django.utils.crypto import get_random_string

from portal.inquiry.subject import Subject
from portal.models import InquiryCheck

_PAGE = re.compile(r"[A-Za-z0-9]{1,40}")
_NUMBER = re.compile(r"[0-9]{1,15}")
# Higher than the number of any check, so that none is stored after the form was submitted.
_SUBMITTED = 10**15


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the load of the form that it belongs to, and its number there."""

    page: str
    number: int
    request_id: str = ""


def read(post: QueryDict) -> Check:
    """Return which check of which page was posted; without a page it is the only one of its own."""
    page, number = post.get("page", ""), post.get("number", "")
    return Check(
        page if _PAGE.fullmatch(page) else get_random_string(20),
        int(number) if _NUMBER.fullmatch(number) else 0,
    )


def submission(post: QueryDict) -> Check:
    """Return the submission of a page, which supersedes all of its checks."""
    return replace(read(post), number=_SUBMITTED)


def start(subject: Subject, check: Check) -> Check | None:
    """Record a check as the latest and read the request again; None if a newer one has started.

    Lock order: the request, then its row here. Holding the request's row means that an older
    check has either stored its values, which are read here, or finds itself superseded.
    """
    row = subject.row
    with transaction.atomic():
        subject.row = type(row)._default_manager.select_for_update().get(pk=row.pk)
        latest = InquiryCheck.objects.filter(pk=row.pk).first()
        if latest and latest.page == check.page and latest.number >= check.number:
            return None
        InquiryCheck.objects.update_or_create(
            pk=row.pk, defaults={"page": check.page, "number": check.number}
        )
    return replace(check, request_id=row.pk)


def is_latest(check: Check) -> bool:
    """Whether no newer check has started; call with the request's row locked."""
    return InquiryCheck.objects.filter(
        pk=check.request_id, page=check.page, number=check.number
    ).exists()
