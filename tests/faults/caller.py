"""One caller of a deployment, who has everything recorded that he asks for and that he is told."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from tests.faults.client import Answer, Connection, Lost
from tests.faults.history import CHAT, NOTIFY, Delete, History, Listing, Lookup, Outcome, Register, Write
from tests.faults.running import JSON, SERVICE

BINDINGS = f"/v1/Services/{SERVICE}/Bindings"
_COMPATIBLE = {400: "cap-reached", 404: "not-found"}
"""What the compatible routes mean: they name no problem."""


class Caller:
    """A connection, and the history that its requests go into.

    With ``refusable`` tokens, any write may be answered 401: the clock that they are checked by is not to be relied on.
    """

    def __init__(self, number: int, connection: Connection, history: History, *, refusable: bool = False) -> None:
        self.number, self.history = number, history
        self._refusable = refusable
        self._connection = connection
        self._why = ""

    async def aclose(self) -> None:
        """Close the connection."""
        await self._connection.aclose()

    async def send(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer | None:
        """One request; None if no answer came, or one that says that it may or may not have taken effect."""
        try:
            answer = await self._connection.request(method, path, headers, body)
        except Lost as lost:
            self._why = str(lost)
            self.history.unanswered += 1
            return None
        assert answer.status < 500 or answer.status == 503, answer
        self._why = str(answer)
        if answer.status == 503:
            self.history.unanswered += 1
            return None
        return answer

    async def look_up(self, identities: list[str]) -> dict[str, dict[str, int]] | None:
        """A recorded native lookup."""
        start = self.history.now()
        body = msgspec.json.encode({"identities": identities})
        answer = await self.send("POST", "/v1/lookups", JSON, body)
        if answer is None:
            return None
        assert answer.status == 200, answer
        found = {one["identity"]: _channels_by_address(one["bindings"]) for one in answer.json()["identities"]}
        self.history.add(self.number, start, Outcome.DONE, Lookup(found=found))
        return found

    async def list_notify(self, identity: str) -> tuple[str, ...] | None:
        """A recorded Notify list by identity."""
        start = self.history.now()
        answer = await self.send("GET", f"{BINDINGS}?PageSize=100&Identity={quote(identity)}", JSON)
        if answer is None:
            return None
        assert answer.status == 200, answer
        found = tuple(one["address"] for one in answer.json()["bindings"])
        self.history.add(self.number, start, Outcome.DONE, Listing(identity=identity, found=found))
        return found

    async def write(
        self, action: Write, method: str, path: str, headers: dict[str, str], body: bytes = b""
    ) -> Answer | None:
        start = self.history.now()
        answer = await self.send(method, path, headers, body)
        if answer is None:
            self.history.add(self.number, start, Outcome.UNKNOWN, action, self._why)
        elif answer.status < 300:
            self.history.add(self.number, start, Outcome.DONE, action)
        else:
            why = _reason(action, answer)
            assert why in _reasons(action) or (self._refusable and why == "unauthenticated"), f"{answer} to {action}"
            self.history.add(self.number, start, Outcome.REFUSED, action, why)
        return answer


def _reason(action: Write, answer: Answer) -> str:
    if answer.status == 401:
        return "unauthenticated"
    if isinstance(action, Delete) or (isinstance(action, Register) and action.compatible):
        return _COMPATIBLE.get(answer.status, "")
    slug: str = answer.json()["type"].rpartition(":")[2]
    return slug


def _reasons(action: Write) -> set[str]:
    """What an operation of this kind may be refused for. Logouts and removals are not refused at all."""
    match action:
        case Register(compatible=True):
            return {"cap-reached"}
        case Register():
            return {"session-ended", "cap-reached", "too-many-requests"}
        case Delete():
            return {"not-found"}
        case _:
            return set()


def _channels_by_address(bindings: list[dict[str, Any]]) -> dict[str, int]:
    flags = {"notify": NOTIFY, "chat": CHAT}
    found: dict[str, int] = {}
    for binding in bindings:
        assert binding["address"] not in found, "an address is shown twice for one identity"
        found[binding["address"]] = sum(flags[name] for name in binding["channels"])
    return found
