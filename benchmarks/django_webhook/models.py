"""Models whose payload is about as long as Connect's."""

from django.db import models


class _Change(models.Model):
    webhook_name = models.CharField(max_length=100, default="Hook 1")
    object_class = models.CharField(max_length=40, default="fulfillment_requests")
    account_id = models.CharField(max_length=20, default="VA-111-111")
    product_id = models.CharField(max_length=20, default="PRD-111-111-111")
    api_url = models.CharField(max_length=100, default="http://127.0.0.1:8000/public/v1")
    data = models.JSONField(default=dict)

    class Meta:
        abstract = True


class Order(_Change):
    """A row that triggers all 99 webhooks."""

    class Meta:
        app_label = "orders"

    def __str__(self) -> str:
        return f"order {self.pk}"


class Paced(_Change):
    """A row that triggers one webhook."""

    class Meta:
        app_label = "orders"

    def __str__(self) -> str:
        return f"paced {self.pk}"
