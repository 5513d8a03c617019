"""The portal's own tables."""

from __future__ import annotations

from django.db import models


class InquiryCheck(models.Model):
    """The latest check of an inquiring form: at most one row per request.

    The values of an older check are not stored: the customer has changed them since.
    """

    request_id = models.CharField(max_length=40, primary_key=True)
    # One load of the form in one browser tab; numbers are comparable within it only.
    page = models.CharField(max_length=40)
    number = models.PositiveBigIntegerField()

    def __str__(self) -> str:
        return f"{self.request_id}: check {self.number}"
