"""The forms of SIDs and names in settings, and the rules that say them."""

import re

AC_SID = re.compile(r"AC[0-9a-fA-F]{32}")
IS_SID = re.compile(r"IS[0-9a-fA-F]{32}")
IS_SID_RULE = "must be IS and 32 hex digits"
SK_SID = re.compile(r"SK[0-9a-fA-F]{32}")
UPSTREAM_USER = re.compile(r"(?:AC|SK)[0-9a-fA-F]{32}")
UPSTREAM_USER_RULE = "must be AC or SK, and 32 hex digits"
SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
