"""The contract as a model: what must be desired after a history of requests, in a few dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace

from service.domain.addresses import BindingType
from service.domain.record import Channel

NOTIFY, CHAT = Channel.NOTIFY, Channel.CHAT


def group(kind: BindingType) -> str | None:
    """Apple's or Google's: what a device has one address of. Messaging belongs to no device."""
    if not kind.push:
        return None
    return "apple" if kind is BindingType.APN else "google"


@dataclass(frozen=True)
class Registration:
    """What an app wants of one address."""

    identity: str
    kind: BindingType
    device: str | None
    channels: Channel
    endpoint: str | None
    session: str | None
    tags: tuple[str, ...]


Age = tuple[int, int]
"""When an address was last seen, and its version; the least is the oldest."""


class Refused(Exception):
    """The contract refuses the request; the argument says why."""


@dataclass
class Contract:
    """The desired state, and what has been logged out."""

    cap: int
    registrations: dict[str, Registration] = field(default_factory=dict)
    dead_sessions: set[tuple[str, str]] = field(default_factory=set)
    dead_devices: set[tuple[str, str]] = field(default_factory=set)
    dead_addresses: set[tuple[str, str]] = field(default_factory=set)
    dead_identities: set[str] = field(default_factory=set)

    def register(
        self,
        address: str,
        wanted: Registration,
        *,
        old_token: bool = False,
        keep: bool = False,
        server: bool = True,
        age: Callable[[str], Age] | None = None,
    ) -> list[str]:
        """Contract 1, 5 and 6. `old_token`: an app's, issued before every logout. Raises Refused, changing nothing.

        With the ages of addresses the oldest give way to it; answers these.
        """
        identity = wanted.identity
        if wanted.session and (identity, wanted.session) in self.dead_sessions:
            raise Refused("fenced")
        if old_token and (
            identity in self.dead_identities
            or (identity, wanted.device) in self.dead_devices
            or (identity, address) in self.dead_addresses
        ):
            raise Refused("fenced")
        own = self.registrations.get(address)
        own = own if own and own.identity == identity else None
        if keep and own and group(own.kind) == group(wanted.kind):
            wanted = replace(
                wanted,
                channels=wanted.channels | own.channels,
                device=own.device,
                session=own.session,
                endpoint=own.endpoint,
            )
        if server and own and wanted.session is None:
            wanted = replace(wanted, session=own.session)
        after = deepcopy(self)
        changed = after._displace(address, wanted)
        others, evicted = after.notify(identity), list[str]()
        after.registrations[address] = wanted
        counted = bool(own and own.channels & NOTIFY)
        if wanted.channels & NOTIFY and not counted and len(others) >= self.cap:
            if age is None:
                raise Refused("cap")
            # Whatever loses its Chat binding to this one has a new version by that.
            oldest = sorted(others, key=lambda other: (age(other)[0], other in changed, age(other)[1]))
            evicted = oldest[: len(others) - self.cap + 1]
            for other in evicted:
                del after.registrations[other]
        self.registrations = after.registrations
        return evicted

    def _displace(self, address: str, wanted: Registration) -> set[str]:
        """Answers what has lost its Chat binding alone."""
        changed = set()
        self.registrations.pop(address, None)
        for other, r in list(self.registrations.items()):
            if wanted.device and r.device == wanted.device and group(r.kind) == group(wanted.kind) is not None:
                del self.registrations[other]
            elif (
                wanted.channels & CHAT
                and r.channels & CHAT
                and r.endpoint == wanted.endpoint
                and group(r.kind) == group(wanted.kind)
            ):
                self._take_out(other, CHAT)
                changed.add(other)
        return changed

    def _take_out(self, address: str, channels: Channel) -> None:
        r = self.registrations[address]
        left = r.channels & ~channels
        if left:
            endpoint = r.endpoint if left & CHAT else None
            self.registrations[address] = replace(r, channels=left, endpoint=endpoint)
        else:
            del self.registrations[address]

    def log_out(
        self, identity: str, *, device: str | None = None, session: str | None = None, address: str | None = None
    ) -> int:
        """Contract 6 and 7: ends what is named, and fences it."""
        ended = 0
        for known, r in list(self.registrations.items()):
            if r.identity != identity:
                continue
            named = (
                (device is None or r.device == device)
                and (session is None or r.session == session)
                and (address is None or known == address)
            )
            if named and (r.kind.push or address is not None):
                del self.registrations[known]
                ended += 1
        if device:
            self.dead_devices.add((identity, device))
        elif session:
            self.dead_sessions.add((identity, session))
        elif address:
            self.dead_addresses.add((identity, address))
        else:
            self.dead_identities.add(identity)
        return ended

    def delete(self, address: str, channels: Channel) -> None:
        """One binding, or both, leave the desired state; nothing is fenced."""
        if address in self.registrations and self.registrations[address].channels & channels:
            self._take_out(address, channels)

    def desired(self, identity: str) -> set[str]:
        """The addresses of an identity."""
        return {a for a, r in self.registrations.items() if r.identity == identity}

    def notify(self, identity: str) -> set[str]:
        """Its addresses with a Notify binding."""
        return {a for a in self.desired(identity) if self.registrations[a].channels & NOTIFY}

    def endpoints(self, identity: str) -> set[str]:
        """Its Chat endpoints."""
        mine = [self.registrations[a] for a in self.desired(identity)]
        return {r.endpoint for r in mine if r.channels & CHAT and r.endpoint}
