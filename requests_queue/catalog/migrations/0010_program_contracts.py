import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0009_agreements'),
    ]

    operations = [
        migrations.AddField(
            model_name='apitoken',
            name='context',
            field=models.CharField(blank=True, editable=False, max_length=32),
        ),
        migrations.AddField(
            model_name='contract',
            name='kind',
            field=models.CharField(default='production', editable=False, max_length=16),
        ),
        migrations.AddField(
            model_name='contract',
            name='message',
            field=models.CharField(blank=True, editable=False, max_length=200),
        ),
        migrations.AddField(
            model_name='contract',
            name='program',
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='contracts', to='catalog.agreement'),
        ),
        migrations.AlterField(
            model_name='contract',
            name='marketplace',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='contracts', to='catalog.marketplace'),
        ),
        migrations.AddConstraint(
            model_name='contract',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('marketplace__isnull', False), ('program', None)), models.Q(('marketplace', None), ('program__isnull', False)), _connector='OR'), name='contract_of_marketplace_or_program'),
        ),
    ]
