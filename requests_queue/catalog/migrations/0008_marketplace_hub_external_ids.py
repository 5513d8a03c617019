from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0007_product_versions'),
    ]

    operations = [
        migrations.AddField(
            model_name='marketplace',
            name='hub_external_ids',
            field=models.JSONField(default=dict, editable=False),
        ),
    ]
