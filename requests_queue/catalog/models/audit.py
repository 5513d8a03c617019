"""The audit log: who changed, revealed and triggered what."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models


class AuditEntry(models.Model):
    """One entry of the audit log, which is never changed; retention alone removes it.

    `actor` is the ID of a person (`UR-`) or of an API key (`SU-`), empty for nobody and for
    commands. There are no foreign keys: an entry outlives what it is about. `fields` are names,
    never values. `at` is real time.
    """

    at = models.DateTimeField("time")
    actor = models.CharField(max_length=32, blank=True)
    account = models.CharField(max_length=32, blank=True)
    action = models.CharField(max_length=32)
    object_type = models.CharField(max_length=32, blank=True)
    object_id = models.CharField("object ID", max_length=64, blank=True)
    fields = models.JSONField("changed fields", default=list)
    address = models.CharField("client address", max_length=64, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["action", "at"], name="audit_action"),
            models.Index(fields=["object_id"], name="audit_object"),
            models.Index(fields=["actor"], name="audit_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_id}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the entry; raises TypeError for one that is stored."""
        if not self._state.adding:
            raise TypeError("An entry of the audit log cannot be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: only retention removes entries."""
        raise TypeError("An entry of the audit log cannot be deleted.")
