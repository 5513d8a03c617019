"""No index of webhooks that respond, which no claim reads any more."""

from django.db import migrations


class Migration(migrations.Migration):
    """Remove the index."""

    dependencies = [("webhooks", "0013_listening_index")]

    operations = [migrations.RemoveIndex(model_name="webhook", name="webhook_responds")]
