from django.db import migrations, models

import requests_queue.catalog.modules


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0005_audit_entries'),
    ]

    operations = [
        migrations.AddField(
            model_name='apitoken',
            name='modules',
            field=models.JSONField(default=requests_queue.catalog.modules.all_modules),
        ),
    ]
