"""Notify v1 Bindings at an upstream. Source: the Notify Binding reference."""

from __future__ import annotations

from collections.abc import Sequence

from service.backends.twilio.account import Account, Attempt
from service.backends.twilio.bindings import NotifyBinding, read_one
from service.backends.twilio.pages import query
from service.backends.twilio.resource import Bindings

LONGEST_PAGE = 1000


class NotifyBindings(Bindings[NotifyBinding]):
    """The Notify bindings of one Service there."""

    def __init__(self, account: Account) -> None:
        path = f"/v1/Services/{account.upstream.sid}/Bindings"
        super().__init__(account, NotifyBinding, path, [("PageSize", str(LONGEST_PAGE))])

    async def create(
        self,
        *,
        identity: str,
        binding_type: str,
        address: str,
        tags: Sequence[str] = (),
        credential_sid: str | None = None,
        protocol_version: str | None = None,
        attempt: Attempt | None = None,
    ) -> NotifyBinding:
        """Create a binding. It replaces whatever holds its address there, for whichever identity."""
        form = [("Identity", identity), ("BindingType", binding_type), ("Address", address)]
        form += [("Tag", tag) for tag in tags]
        if credential_sid is not None:
            form.append(("CredentialSid", credential_sid))
        if protocol_version is not None:
            form.append(("NotificationProtocolVersion", protocol_version))
        answer = await self.account.request(
            "POST", self._path, operation="create", body=query(form), attempt=attempt, hidden=(address,)
        )
        return read_one(answer, NotifyBinding)
