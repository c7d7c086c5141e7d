"""Chat bindings at an upstream, through Chat v2 or Conversations v1. Apps' SDKs create them: there is no create here.

Sources: the Programmable Chat and the Conversations Binding references.
"""

from __future__ import annotations

from service.backends.twilio.account import Account, Attempt
from service.backends.twilio.bindings import ChatBinding
from service.backends.twilio.pages import Page
from service.backends.twilio.resource import Bindings

_VERSIONS = {"chat": ("v2", 50), "conversations": ("v1", 100)}
_TYPES = ("apn", "fcm", "gcm")


class ChatBindings(Bindings[ChatBinding]):
    """The push bindings of one Chat Service there."""

    def __init__(self, account: Account) -> None:
        version, longest_page = _VERSIONS[account.upstream.api]
        path = f"/{version}/Services/{account.upstream.sid}/Bindings"
        wanted = [*(("BindingType", kind) for kind in _TYPES), ("PageSize", str(longest_page))]
        super().__init__(account, ChatBinding, path, wanted)

    async def page(self, at: str | None = None, attempt: Attempt | None = None) -> Page[ChatBinding]:
        """A page of all push bindings.

        Conversations has bindings of web sockets too, which end with their connections and are nobody's to delete.
        """
        page = await super().page(at, attempt)
        return Page(tuple(b for b in page.bindings if b.binding_type in _TYPES), page.next)
