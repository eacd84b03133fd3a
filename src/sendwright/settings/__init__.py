"""Settings: one table of rows (`table.py`), read once into frozen structs, every fault at once.

`load` finds and reads, `describe` lists what is in force and where it came from, `data_keys` finds or makes the
installation's keys. Who decides by a setting imports its struct from here; nobody else reads the file or the environment.
"""

from sendwright.model.api_key import api_key_id
from sendwright.settings.describing import Row, describe
from sendwright.settings.keys import Keys, data_keys, kept_admin_key, make_api_key
from sendwright.settings.kinds import Bad, address_of, duration_s, host_port, per_second
from sendwright.settings.loading import load
from sendwright.settings.relations import route_faults
from sendwright.settings.shapes import (
    Api,
    Breaker,
    Bus,
    Loaded,
    ProviderTable,
    Retention,
    Retry,
    RouteSettings,
    Sandbox,
    Scheduler,
    Secrets,
    Settings,
    Store,
    Worker,
)
from sendwright.settings.table import SETTINGS, Setting

__all__ = [
    "SETTINGS",
    "Api",
    "Bad",
    "Breaker",
    "Bus",
    "Keys",
    "Loaded",
    "ProviderTable",
    "Retention",
    "Retry",
    "RouteSettings",
    "Row",
    "Sandbox",
    "Scheduler",
    "Secrets",
    "Setting",
    "Settings",
    "Store",
    "Worker",
    "address_of",
    "api_key_id",
    "data_keys",
    "describe",
    "duration_s",
    "host_port",
    "kept_admin_key",
    "load",
    "make_api_key",
    "per_second",
    "route_faults",
]
