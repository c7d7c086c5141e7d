"""Commands and scripts on a server that is well."""

from __future__ import annotations

import asyncio
import re

import pytest

from service.redis import Overloaded, Redis, ReplyError, Script, connect
from tests.servers.valkey import ValkeyServer

COUNT = Script("count", b"#!lua\nreturn {redis.call('INCRBY', KEYS[1], ARGV[1]), ARGV[2]}")
FAIL_AFTER_WRITING = Script("fail", b"#!lua\nredis.call('INCR', KEYS[1])\nreturn redis.call('LPUSH', KEYS[1], 'x')")


async def reads(redis: Redis) -> int:
    """How often the server has read from a socket."""
    info = await redis.command("INFO", "stats")
    assert isinstance(info, bytes)
    found = re.search(rb"total_reads_processed:(\d+)", info)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("form", ["url", "tcp_url"])
async def test_replies_come_back_as_resp2_values(server: ValkeyServer, form: str) -> None:
    """Over a unix socket and over TCP, replies are None, int, bytes or lists of them."""
    redis = connect(getattr(server, form))
    await redis.ping()
    assert await redis.command("SET", "name", b"\x00\xff", "EX", 100) == b"OK"
    assert await redis.command("GET", "name") == b"\x00\xff"
    assert await redis.command("GET", "none") is None
    assert await redis.command("RPUSH", "list", 1, 2.5, "é") == 3
    assert await redis.command("LRANGE", "list", 0, -1) == [b"1", b"2.5", "é".encode()]
    await redis.aclose()


@pytest.mark.parametrize(("commands", "most"), [(15, 1), (100, 7)])
async def test_a_ticks_commands_leave_together(redis: Redis, commands: int, most: int) -> None:
    """A tick's commands reach the server in one read; many in one for every sixteen, so that it can begin at once."""
    before = await reads(redis)
    await asyncio.gather(*[redis.command("ECHO", n) for n in range(commands)])
    assert 1 <= await reads(redis) - before - 1 <= most  # less the read of the INFO which tells


async def test_every_caller_gets_its_own_reply(redis: Redis) -> None:
    """Replies resolve in the order of the commands, whatever their sizes."""
    words = [b"%d" % n * (n % 700 + 1) for n in range(3000)]
    assert await asyncio.gather(*[redis.command("ECHO", word, timeout=20) for word in words]) == words


async def test_a_caller_that_leaves_disturbs_nobody(redis: Redis) -> None:
    """Cancelled before its command left or before its reply came, a caller takes only itself away."""
    await redis.ping()
    for turns in range(4):
        tasks = [asyncio.create_task(redis.command("ECHO", n)) for n in range(100)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[1::2] == [b"%d" % n for n in range(1, 100, 2)]
    assert await redis.command("ECHO", "last") == b"last"


async def test_a_command_cancelled_before_it_left_never_leaves(redis: Redis) -> None:
    """What nobody waits for any more is not sent."""
    await redis.ping()
    task = asyncio.create_task(redis.command("INCR", "n"))
    await asyncio.sleep(0)  # the command is queued, its flush comes next
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await redis.command("GET", "n") is None


async def test_a_server_is_not_swamped(server: ValkeyServer, redis: Redis) -> None:
    """Beyond 10,000 waiting commands, the next one is refused at once."""
    await redis.ping()
    server.pause()
    tasks = [asyncio.create_task(redis.ping()) for _ in range(10_001)]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    errors = [task.exception() for task in done]
    assert [type(error) for error in errors] == [Overloaded]
    server.resume()
    await asyncio.gather(*tasks, return_exceptions=True)
    await redis.ping()


async def test_a_script_is_loaded_when_it_is_missing(server: ValkeyServer, redis: Redis) -> None:
    """A script runs once, at first sight, again, and after SCRIPT FLUSH."""
    assert await redis.run(COUNT, b"{k}", [1, b"\xff"]) == [1, b"\xff"]
    assert await redis.run(COUNT, b"{k}", [10, b""]) == [11, b""]
    server.call("SCRIPT", "FLUSH")
    results = await asyncio.gather(*[redis.run(COUNT, b"{k}", [1, b""]) for _ in range(20)])
    assert {result[0] for result in results if isinstance(result, list)} == set(range(12, 32))


async def test_a_script_that_fails_half_way_is_not_repeated(server: ValkeyServer, redis: Redis) -> None:
    """An error from inside a script is the caller's to see; the script has run once."""
    with pytest.raises(ReplyError) as caught:
        await redis.run(FAIL_AFTER_WRITING, b"n", [])
    assert caught.value.code == "WRONGTYPE"
    assert server.call("GET", "n") == b"1"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("LPUSH", "secret-key", "secret-value"), "WRONGTYPE"),
        (("NOSUCH", "secret-key", "secret-value"), "ERR"),
        (("SET", "secret-key", "secret-value", "secret-option"), "ERR"),
        (("EVALSHA", "0" * 40, 1, "secret-key"), "NOSCRIPT"),
    ],
)
async def test_error_replies_tell_no_secrets(redis: Redis, command: tuple[str | int, ...], code: str) -> None:
    """A ReplyError has the server's code, and neither key nor argument."""
    await redis.command("SET", "secret-key", "x")
    with pytest.raises(ReplyError) as caught:
        await redis.command(*command)
    assert caught.value.code == code
    assert "secret" not in f"{caught.value} {caught.value!r} {caught.value.args}"


async def test_out_of_memory_is_an_error_reply(server: ValkeyServer, redis: Redis) -> None:
    """OOM is not retried and not taken for an outage."""
    server.call("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(ReplyError) as caught:
        await redis.command("SET", "k", "v")
    assert caught.value.code == "OOM"
