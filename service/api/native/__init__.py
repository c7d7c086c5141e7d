"""The native routes: JSON in, JSON out, RFC 9457 problems for errors."""

from service.api.native.health import livez, readyz, version
from service.api.native.logouts import log_out_by_server
from service.api.native.lookups import list_bindings, list_bindings_of_any, look_up_many
from service.api.native.registrations import create, delete_by_device, delete_by_id, read

handlers = [
    create,
    read,
    delete_by_device,
    delete_by_id,
    log_out_by_server,
    list_bindings,
    list_bindings_of_any,
    look_up_many,
    livez,
    readyz,
    version,
]

__all__ = ["handlers"]
