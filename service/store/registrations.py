"""Writing: registrations, logouts and removals, each one transaction."""

from __future__ import annotations

import random
from enum import Enum
from struct import Struct

import msgspec

from service.domain.addresses import BindingType
from service.domain.errors import BinderyError, CapReached, SeenSince, SessionEnded, TooManyRequests, Unauthenticated
from service.domain.events import Reason
from service.domain.fingerprints import NO_DEVICE, NO_LINK, NO_SESSION
from service.domain.limits import CLOCK_LEEWAY, PER_IDENTITY
from service.domain.record import NO_CHANNEL, Attributes, Channel, Extras, Record, encode_blob, pack_address
from service.domain.sids import BindingSid
from service.store.section import Argument, Section
from service.telemetry.catalogue import DISPLACED, REGISTRATIONS

_FIXED = Struct("<16s12s8sBBq?4s12s12s4s")
"""Owner, device, session, type, channels, ``iat`` (-1: none), keep, nonce; a Chat binding's key, endpoint and nonce."""
_RULES = Struct("<I?III")
"""Cap, whether to evict, registrations of an identity at most, events at most, the age of the oldest token."""

_SEEN_SINCE = 2
"""What a removal answers of a registration that stays."""

UNSEEN_SECONDS = 7 * 86_400
"""By then the audit has seen everything that an upstream holds, outages included; as in ``lua/lib/changes.lua``."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A registration as a caller asks for it, valid and canonical."""

    kind: BindingType
    address: str
    attributes: Attributes
    extras: Extras
    channels: Channel = Channel.NOTIFY
    session: str | None = None
    issued_at: int | None = None
    """``iat`` of an app's token in seconds since the epoch; None for servers."""
    keep: bool = False
    """A compatible create: for the same identity, device, session and Chat stay as they are."""


class Outcome(Enum):
    """What became of an accepted registration."""

    UNCHANGED = b"unchanged"
    PENDING = b"pending"
    ACCEPTED = b"accepted"


class Registered(msgspec.Struct, frozen=True):
    """An accepted registration, with the lanes that ask to be woken (two bytes each)."""

    outcome: Outcome
    record: Record
    chat: Record | None
    wake: bytes
    displaced: int


_OUTCOMES = {outcome.value: outcome.value.decode() for outcome in Outcome} | {
    b"fenced": "session-ended",
    b"expired": "token-expired",
    b"cap": "cap-reached",
    b"busy": "too-many-requests",
    b"collision": "collision",
}
"""What the script may answer -> what the metrics call it."""


class Target(Enum):
    """What a logout names."""

    IDENTITY = b"i"
    DEVICE = b"d"
    SESSION = b"s"
    ADDRESS = b"a"


class Registrations:
    """The registrations of one Service, called ``name`` in the metrics.

    ``token_seconds`` is the age that an app's token may have at most where its times are checked, their tolerance
    included. In the channels ``external`` bindings are kept at an upstream.
    """

    def __init__(
        self,
        section: Section,
        *,
        name: str,
        cap: int,
        replace_oldest: bool,
        token_seconds: int,
        events_max: int,
        external: Channel = NO_CHANNEL,
    ) -> None:
        self._section = section
        self._outcomes = {answer: REGISTRATIONS.labels(name, outcome) for answer, outcome in _OUTCOMES.items()}
        self._displaced = DISPLACED.labels(name)
        self._fingerprints = section.fingerprints
        self._rules = _RULES.pack(cap, replace_oldest, PER_IDENTITY, events_max, token_seconds)
        # An issuer whose clock is ahead makes tokens that outlive the logout by as much more.
        self._fence_seconds = b"%d" % (token_seconds + CLOCK_LEEWAY)
        self._long_fence_seconds = b"%d" % max(token_seconds + CLOCK_LEEWAY, UNSEEN_SECONDS)
        self._events_max = b"%d" % events_max
        self._external = external

    async def register(self, wanted: Wanted, *, at_once: Channel = NO_CHANNEL) -> Registered:
        """Make ``wanted`` the desired state.

        In the channels ``at_once``, whose backend is this store, it is applied in the same step.

        Raises:
            SessionEnded: a logout covers it (contract 6).
            Unauthenticated: by the store's clock the token is too old, whatever it was for who has checked it.
            CapReached: the identity is full and the Service's policy is to refuse (contract 5).
            TooManyRequests: hundreds of its Chat bindings still wait for their removal.
        """
        prints, attributes = self._fingerprints, wanted.attributes
        owner = prints.owner(attributes.identity)
        fingerprint = prints.address(wanted.address)
        chat_key, endpoint, *chat_words = self._chat(wanted, owner)
        device, session = prints.device(wanted.extras.device_id), prints.session(owner, wanted.session)
        # The end of a SID tells versions apart; that nobody guesses it is up to the fingerprint before it.
        nonces = random.randbytes(8)  # noqa: S311
        issued_at = -1 if wanted.issued_at is None else wanted.issued_at
        fixed = _FIXED.pack(
            owner, device, session, wanted.kind.code, wanted.channels, issued_at, wanted.keep, nonces[:4],
            chat_key, endpoint, nonces[4:],
        )  # fmt: skip
        reply = await self._section.run(
            "register",
            fingerprint,
            fixed,
            self._modes(at_once),
            self._rules,
            pack_address(wanted.address),
            encode_blob(attributes),
            encode_blob(wanted.extras),
            *chat_words,
        )
        self._outcomes[reply[0]].inc()
        match reply[0]:
            case b"fenced":
                raise SessionEnded
            case b"expired":
                raise Unauthenticated("The token has expired")
            case b"cap":
                raise CapReached
            case b"busy":
                raise TooManyRequests
            case b"collision":
                raise BinderyError("Two addresses share a fingerprint")
        _, raw, chat_raw, wake, displaced = reply
        if displaced:
            self._displaced.inc(displaced)
        record = Record(fingerprint, raw)
        chat = Record(record.link, chat_raw) if chat_raw else None
        return Registered(Outcome(reply[0]), record, chat, wake, displaced)

    def _modes(self, at_once: Channel) -> Argument:
        if not self._external:
            return b"%d" % at_once
        return self._section.by_backend(self._external, lambda there: b"%d" % (at_once & ~there | there << 2))

    def _chat(self, wanted: Wanted, owner: bytes) -> tuple[bytes, ...]:
        endpoint = wanted.extras.endpoint
        if endpoint is None or Channel.CHAT not in wanted.channels:
            return NO_LINK, NO_DEVICE
        attributes = Attributes(
            identity=wanted.attributes.identity,
            credential_sid=wanted.attributes.credential_sid,
            message_types=wanted.extras.message_types,
        )
        return (
            self._fingerprints.chat(owner, endpoint, wanted.kind.code),
            self._fingerprints.endpoint(endpoint),
            pack_address(endpoint),
            encode_blob(attributes),
        )

    async def logout(
        self,
        identity: str,
        target: Target,
        named: tuple[str, ...] = (),
        *,
        channels: Channel = Channel.NOTIFY | Channel.CHAT,
        include_messaging: bool = False,
        session: str | None = None,
    ) -> tuple[int, bytes]:
        """End what ``target`` names and fence it; ``session`` is the caller's own, if it has one.

        ``named`` holds the device id, the session, or every spelling of the address. Answers how many registrations it
        ended, and the lanes to wake.
        """
        prints = self._fingerprints
        owner = prints.owner(identity)
        match target:
            case Target.IDENTITY:
                keys = [b""]
            case Target.DEVICE:
                keys = [prints.device(name) for name in named]
            case Target.SESSION:
                keys = [prints.session(owner, name) for name in named]
            case Target.ADDRESS:
                keys = [prints.address(name) for name in named]
        # What an upstream holds of it, unknown to us, is found by a walk through everything there.
        at_upstream = self._external and target in (Target.IDENTITY, Target.ADDRESS)
        own = keys[0] if target is Target.SESSION else prints.session(owner, session) if session else NO_SESSION
        ended, wake = await self._section.run(
            "logout",
            owner,
            target.value,
            b"%d" % channels,
            b"1" if include_messaging else b"0",
            own,
            self._long_fence_seconds if at_upstream else self._fence_seconds,
            self._section.by_backend(self._external, lambda there: b"%d" % there),
            self._events_max,
            *keys,
        )
        return ended, wake

    async def remove(
        self,
        fingerprint: bytes,
        channels: Channel,
        reason: Reason,
        *,
        owner: bytes = b"",
        generation: int | None = None,
        unless_seen_since: int | None = None,
    ) -> tuple[bool, bytes]:
        """Take channels out of one registration, if it is still the one meant by owner and generation.

        Answers whether anything was removed, and the lanes to wake.

        Raises:
            SeenSince: it was registered at or after ``unless_seen_since``, in seconds, or may have been.
        """
        removed, wake, _ = await self._remove(
            b"r", channels, reason, key=fingerprint, owner=owner, generation=generation, since=unless_seen_since
        )
        return removed, wake

    async def remove_binding(
        self, sid: BindingSid, channel: Channel, *, owner: bytes = b"", at_once: Channel = NO_CHANNEL
    ) -> tuple[bool, bytes, bytes]:
        """Take the channel of a visible binding out of the desired state.

        Answers whether there was such a binding (of ``owner``, if given), the lanes to wake, and its record's key.
        """
        space = b"k" if channel is Channel.CHAT else b"r"
        return await self._remove(space, channel, Reason.DELETED, owner=owner, sid=sid.raw, at_once=at_once)

    async def _remove(
        self,
        space: bytes,
        channels: Channel,
        reason: Reason,
        *,
        key: bytes = b"",
        owner: bytes = b"",
        generation: int | None = None,
        since: int | None = None,
        sid: bytes = b"",
        at_once: Channel = NO_CHANNEL,
    ) -> tuple[bool, bytes, bytes]:
        removed, wake, found = await self._section.run(
            "remove",
            space,
            key,
            owner,
            _if_given(generation),
            _if_given(since),
            sid,
            b"%d" % channels,
            self._modes(at_once),
            reason.value.encode(),
            self._events_max,
        )
        if removed == _SEEN_SINCE:
            raise SeenSince
        return bool(removed), wake, found


def _if_given(number: int | None) -> bytes:
    return b"" if number is None else b"%d" % number
