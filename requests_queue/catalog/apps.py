"""The catalog's Django app."""

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save


class CatalogConfig(AppConfig):
    """Directory objects of Connect."""

    name = "requests_queue.catalog"
    label = "catalog"
    verbose_name = "Catalog"
    asgi_lifespan = ("requests_queue.catalog.key_uses.lifespan",)

    def ready(self) -> None:
        """Record sign-ins, sign-outs and passwords in the audit log, and register its pruning."""
        from requests_queue.catalog import audit
        from requests_queue.catalog.models import AuditEntry
        from requests_queue.db import retention

        user_logged_in.connect(audit.signed_in, dispatch_uid="audit")
        user_logged_out.connect(audit.signed_out, dispatch_uid="audit")
        post_save.connect(audit.password_saved, "catalog.User", dispatch_uid="audit")
        user_login_failed.connect(audit.sign_in_failed, dispatch_uid="audit")
        retention.KINDS.append(
            retention.ByAge(
                "audit entries", AuditEntry, "at", days=lambda: settings.SIM_KEEP_AUDIT_DAYS
            )
        )
