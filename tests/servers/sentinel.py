"""A primary, its replicas, and three Sentinels that watch them."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from tests.servers.valkey import ValkeyServer, wait_until

NAME = "bindery-primary"


class ValkeySentinel:
    """`servers` are the first primary and its replicas, `sentinels` those who elect another."""

    def __init__(self, *, replicas: int = 1, down_after_ms: int = 1000, appendfsync: str = "everysec") -> None:
        self._replicas = replicas
        self._appendfsync = appendfsync
        self._down_after_ms = down_after_ms
        self.servers: list[ValkeyServer] = []
        self.sentinels: list[ValkeyServer] = []

    @property
    def url(self) -> str:
        """The redis+sentinel:// URL, with all Sentinels."""
        return "redis+sentinel://" + ",".join(f"127.0.0.1:{s.port}" for s in self.sentinels) + f"/{NAME}"

    def start(self) -> Self:
        """Starts all and returns when the replicas are in step and every Sentinel knows every other."""
        # Each has a configuration file, in which Sentinels write down whose replica it is to be after a restart.
        primary = ValkeyServer(tcp=True, config="", appendfsync=self._appendfsync)
        self.servers.append(primary)
        primary.start()
        for _ in range(self._replicas):
            role = f"replicaof 127.0.0.1 {primary.port}\n"
            replica = ValkeyServer(tcp=True, config=role, appendfsync=self._appendfsync)
            self.servers.append(replica)
            replica.start()
        wait_until(lambda: all(map(self.follows, self.servers[1:])), "the replicas are in step")
        for _ in range(3):
            sentinel = ValkeyServer("--sentinel", tcp=True, base=(), config=self._config(primary.port))
            self.sentinels.append(sentinel)
            sentinel.start()
        wait_until(lambda: all(self._ready(sentinel) for sentinel in self.sentinels), "the Sentinels have met")
        return self

    def primary(self) -> ValkeyServer:
        """The server that the first Sentinel takes for the primary."""
        port = self.primary_port()
        return next(server for server in self.servers if server.port == port)

    def follows(self, server: ValkeyServer) -> bool:
        """Whether a server is a replica that is in step."""
        return self._role(server)[3:4] == [b"connected"]

    def primary_port(self) -> int:
        """Where the first Sentinel takes the primary to be."""
        reply = self.sentinels[0].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        assert isinstance(reply, list)
        return int(reply[1])

    def close(self) -> None:
        """Ends all servers and removes their data."""
        for server in [*self.sentinels, *self.servers]:
            server.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _config(self, port: int) -> str:
        return (
            f"sentinel monitor {NAME} 127.0.0.1 {port} 2\n"
            f"sentinel down-after-milliseconds {NAME} {self._down_after_ms}\n"
            f"sentinel failover-timeout {NAME} 5000\n"
        )

    @staticmethod
    def _role(server: ValkeyServer) -> list[object]:
        reply = server.call("ROLE")
        assert isinstance(reply, list)
        return reply

    def _ready(self, sentinel: ValkeyServer) -> bool:
        reply = sentinel.call("SENTINEL", "MASTER", NAME)
        assert isinstance(reply, list)
        facts = dict(zip(reply[::2], reply[1::2], strict=True))
        return (facts[b"num-other-sentinels"], facts[b"num-slaves"]) == (b"2", b"%d" % self._replicas)
