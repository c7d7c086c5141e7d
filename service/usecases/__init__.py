"""What callers and workers can ask of a Service.

No routes and no commands of Redis: those are `api` and `store`; upstreams are spoken to through `backends.twilio`.
"""
