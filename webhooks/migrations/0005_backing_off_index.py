from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('webhooks', '0004_pruned_until'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='webhook',
            index=models.Index(condition=models.Q(('active', True), ('earliest_possible_trigger__isnull', False), ('out_of_order', False)), fields=['earliest_possible_trigger'], name='webhook_backing_off'),
        ),
    ]
