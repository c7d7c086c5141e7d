"""What a call to Redis can fail with, and whether the command may have run.

No text here ever holds a key, an argument or a password.
"""

from __future__ import annotations

from typing import Final

#: Error replies given instead of running the command: sending it again cannot run it twice.
NOT_RUN: Final = frozenset(
    {"NOSCRIPT", "MOVED", "ASK", "TRYAGAIN", "LOADING", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "READONLY", "BUSY"}
)

#: Error replies that say "this server is no longer a primary".
DEMOTED: Final = frozenset({"READONLY", "MASTERDOWN"})


class RedisError(Exception):
    """Base of everything that a call can raise."""


class Unavailable(RedisError):
    """Redis gave no answer to the call."""


class NotSent(Unavailable):
    """The command certainly did not run: it never left, or the server said so. Safe to repeat."""


class Overloaded(NotSent):
    """Too many commands are already waiting for this server. Safe to repeat, later."""


class Refused(NotSent):
    """The server refused this client: its credentials, its database number or its certificate settings."""


class Rerouted(NotSent):
    """The server that the command waited for left the cluster's map. Handled inside this package."""


class OutcomeUnknown(Unavailable):
    """The command was, or may have been, sent, and no reply came: it may have run, or may yet run."""


class ReplyError(RedisError):
    """The server's error reply. `code` is its first word (`WRONGTYPE`, `OOM`, `ERR`), `message` the rest."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code} {self.message}".rstrip()

    @classmethod
    def parse(cls, line: str) -> ReplyError:
        """Reads an error line off the wire, less the arguments that an unknown command's error quotes."""
        code, _, message = line.partition(" ")
        return cls(code, message.partition(", with args beginning with")[0])
