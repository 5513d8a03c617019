from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("requests_queue", "0005_sign_in_tries")]

    operations = [migrations.RenameModel("Pulse", "Heartbeat")]
