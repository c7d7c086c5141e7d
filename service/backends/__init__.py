"""Where bindings live: the protocols that reconciliation speaks, and the backend that is our own store."""

from service.backends.embedded import EmbeddedChat, EmbeddedNotify
from service.backends.protocol import ChatBackend, Failure, NotifyBackend

__all__ = ["ChatBackend", "EmbeddedChat", "EmbeddedNotify", "Failure", "NotifyBackend"]
