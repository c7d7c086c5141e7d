"""The limits that callers can run into, stated once.

Lengths are in characters. Sources: the Notify reference (20 bindings, 20 tags, 5 tag filters); RFC 7240 for ``wait``.
"""

CAP = 20
"""Notify registrations of one identity in one Service."""
PER_IDENTITY = 200
"""Registrations of one identity in all channels: bounds what one script call touches."""
TAGS = 20
TAG_FILTERS = 5
IDENTITY_LENGTH = 256
DEVICE_ID_LENGTH = 256
TAG_LENGTH = 128
ENDPOINT_LENGTH = 512
SESSION_LENGTH = 256
ADDRESS_LENGTH = 4096
PART_BYTES = 0xFFFF
"""What a record holds at most of an address, of attributes and of extras: their lengths take two bytes each."""
MESSAGE_TYPES = 20
PROTOCOL_VERSION_LENGTH = 16
LOOKUP_IDENTITIES = 1000
BODY_BYTES = 64 * 1024
BODY_SECONDS = 10
"""What a client may take to send a body."""
FORM_FIELDS = 100
LIST_FILTERS = FORM_FIELDS - 3
"""The URLs in a list's answer bear PageSize, Page and PageToken besides."""
WAIT_SECONDS = 10
WAITERS = 200
"""Requests of one process that wait at the same time; each asks the store every 50 ms."""
CLOCK_LEEWAY = 60
"""Seconds by which the clocks of a token issuer and ours may differ."""
