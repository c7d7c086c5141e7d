"""``python -m tests.benchmarks.peers.django_push.database``: makes the tables and users, or counts the devices.

Users exist before they register a device, as they do when an app's back end is the Django project itself.
"""

from __future__ import annotations

import sys

import django
from django.core.management import call_command


def make(label: str, count: int) -> None:
    """Migrate, and make a user for each device of a label."""
    from django.contrib.auth.models import User

    from tests.benchmarks.devices import devices

    call_command("migrate", verbosity=0)
    User.objects.bulk_create([User(username=device.identity) for device in devices(label, count)], batch_size=1000)


def check(label: str, count: int) -> None:
    """Raises SystemExit unless just these devices are registered, each for its user."""
    from push_notifications.models import APNSDevice

    from tests.benchmarks.devices import devices

    held = set(APNSDevice.objects.values_list("registration_id", "user__username"))
    if held != {(device.address, device.identity) for device in devices(label, count)}:
        raise SystemExit(f"{len(held)} devices, or other ones, where {count} are due")


if __name__ == "__main__":
    django.setup()
    {"make": make, "check": check}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
