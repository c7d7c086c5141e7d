"""Chat bindings at an upstream, through Chat v2 or Conversations v1. Apps' SDKs create them: there is no create here.

Sources: the Programmable Chat and the Conversations Binding references.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.backends.twilio.account import Account, Attempt
from service.backends.twilio.bindings import ChatBinding
from service.backends.twilio.pages import Page, query
from service.backends.twilio.resource import Bindings

_VERSIONS = {"chat": ("v2", 50), "conversations": ("v1", 100)}
_TYPES = ("apn", "fcm", "gcm")


class ChatBindings(Bindings[ChatBinding]):
    """The push bindings of one Chat Service there."""

    def __init__(self, account: Account) -> None:
        version, longest_page = _VERSIONS[account.upstream.api]
        path = f"/{version}/Services/{account.upstream.sid}/Bindings"
        self._longest_page = longest_page
        super().__init__(account, ChatBinding, path, self._wanted(longest_page))

    def first(self, size: int, types: Sequence[str] = ()) -> str:
        """What leads to the first page of all bindings of these types, where pages have ``size`` of them at most."""
        return query(self._wanted(min(size, self._longest_page), types))

    @staticmethod
    def _wanted(size: int, types: Sequence[str] = ()) -> list[tuple[str, str]]:
        return [*(("BindingType", kind) for kind in types or _TYPES), ("PageSize", str(size))]

    async def page(self, at: str | None = None, attempt: Attempt | None = None) -> Page[ChatBinding]:
        """A page of all push bindings.

        Conversations has bindings of web sockets too, which end with their connections and are nobody's to delete.
        """
        page = await super().page(at, attempt)
        return Page(tuple(b for b in page.bindings if b.binding_type in _TYPES), page.next)
