"""Replicas' consent: replies are held back until enough replicas have everything that the replies may tell of.

A primary answers before its replicas know. If it dies then, the replica that takes its place has never heard of what
was answered; and a primary that has been replaced without noticing answers on. So each batch of commands is followed by
a beat, a write that replicas alone get, and by WAIT. Replicas that confirm the beat have all that was written before
it, by whomever, and follow this primary still: what the batch's reads have seen does not come undone either, and is
not what a primary of the past holds.

Sources: https://valkey.io/commands/wait/, https://valkey.io/topics/lua-api/ (set_repl)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from service.redis.call import Call, Mark, Reply, pack
from service.redis.errors import OutcomeUnknown, ReplyError

# It writes to the key that the batch is about, if that is there: any other might be in another slot, or on its way to
# another server. Nothing of it gets into the append-only file.
_BEAT: Final = b"""#!lua flags=allow-oom
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.set_repl(redis.REPL_REPLICA)
  redis.call('HSET', KEYS[1], 'beat', '1')
end
return 1
"""
_ASKING: Final = pack(("ASKING",))


class Confirming:
    """What is held back on one connection, one batch at a time.

    `replicas` must confirm within `seconds`. The keys of its calls hold hashes.
    """

    def __init__(self, replicas: int, seconds: float) -> None:
        self._replicas = replicas
        self._wait = pack(("WAIT", replicas, max(1, int(seconds * 1000))))
        self._beats: dict[bytes, bytes] = {}
        self._held: list[tuple[Call, Reply]] = []
        self._awaited: deque[bytes] = deque()
        self._beaten: dict[bytes, bool] = {}
        self.under_way = False
        """Whether a batch waits for its confirmation; no other may be sent meanwhile."""
        self.deadline = 0.0
        """The last of that batch's calls'."""

    @property
    def held(self) -> list[Call]:
        """The calls whose replies are held back."""
        return [call for call, _ in self._held]

    def questions(self, calls: list[Call]) -> Iterator[tuple[Mark, bytes]]:
        """What to send after a batch of calls."""
        self.under_way = True
        self._awaited.clear()
        self._beaten.clear()
        self.deadline = max(call.deadline for call in calls)
        # One for each key: one that is not there has no beat, and must not stand for another that is.
        asked: dict[bytes, bool] = {}
        for call in calls:
            if call.key is not None:
                asked[call.key] = asked.get(call.key, False) or call.asking
        for key, asking in asked.items():
            self._awaited.append(key)
            if asking:
                yield Mark.ASKING, _ASKING
            beat = self._beats.get(key)
            if beat is None:
                beat = self._beats[key] = pack(("EVAL", _BEAT, 1, key))
            yield Mark.BEAT, beat
        yield Mark.WAIT, self._wait

    def hold(self, call: Call, reply: Reply) -> None:
        """Keep a reply until the batch is confirmed."""
        self._held.append((call, reply))

    def note(self, mark: Mark, reply: Reply) -> None:
        """A reply to one of our questions. The last one releases the batch's replies, or fails its calls."""
        if mark is Mark.BEAT:
            self._beaten[self._awaited.popleft()] = not isinstance(reply, ReplyError)
        elif mark is Mark.WAIT:
            if self._is_beaten() and isinstance(reply, int) and reply >= self._replicas:
                self._release()
            else:
                self.fail("too few replicas of Redis have confirmed it")
            self.under_way = False

    def _is_beaten(self) -> bool:
        # A key that has moved to another server takes no beat here: its calls are said again there; none waits for it.
        held = all(self._beaten.get(call.key, True) for call, _ in self._held if call.key is not None)
        return held and (not self._beaten or any(self._beaten.values()))

    def fail(self, reason: str) -> None:
        """Fail everything that is held back: it may have run, and may come undone."""
        held, self._held = self._held, []
        for call, _ in held:
            if not call.future.done():
                call.future.set_exception(OutcomeUnknown(reason))

    def _release(self) -> None:
        held, self._held = self._held, []
        for call, reply in held:
            if not call.future.done():
                call.future.set_result(reply)
