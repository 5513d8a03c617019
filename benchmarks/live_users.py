"""`python -m benchmarks.live_users COUNT`: create users of the vendor, print a sign-in path each.

With the environment of a running sandbox.
"""

from __future__ import annotations

import json
import os
import sys


def _main(count: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    import django

    django.setup()
    from portal import sign_in
    from requests_queue.catalog.models import Account, User

    vendor = Account.objects.filter(type="vendor").earliest("created", "pk")
    users = [
        User.objects.create(username=f"page-{n}", uid=f"UR-990-000-{n:03}", account=vendor)
        for n in range(count)
    ]
    print(json.dumps([sign_in.link(user) for user in users]))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
