"""A Valkey Cluster of three primaries, with or without replicas."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

from tests.servers.valkey import ValkeyServer, free_port, wait_until

SLOTS = 16384


class ValkeyCluster:
    """Primaries with an equal share of the slots each, and `replicas` replicas of each.

    `nodes` are the primaries first, then the replicas of the first, second … primary in turn.
    """

    def __init__(
        self, *, primaries: int = 3, replicas: int = 0, node_timeout_ms: int = 2000, appendfsync: str = "everysec"
    ) -> None:
        self.primaries = primaries
        self.nodes = [
            ValkeyServer(
                *("--cluster-enabled", "yes"),
                *("--cluster-node-timeout", str(node_timeout_ms)),
                *("--cluster-port", str(free_port())),
                *("--cluster-replica-validity-factor", "0"),
                tcp=True,
                appendfsync=appendfsync,
            )
            for _ in range(primaries * (1 + replicas))
        ]

    @property
    def url(self) -> str:
        """The cluster's redis+cluster:// URL, with all nodes as seeds."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> Self:
        """Starts the nodes, joins them and returns when each says cluster_state:ok and knows every other."""
        for node in self.nodes:
            node.start()
        share = -(-SLOTS // self.primaries)
        for index, node in enumerate(self.nodes):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
            if index < self.primaries:
                first = index * share
                node.call("CLUSTER", "ADDSLOTSRANGE", first, min(first + share, SLOTS) - 1)
        self._meet()
        self._replicate()
        wait_until(lambda: all(self._settled(node) for node in self.nodes), "the cluster is up")
        return self

    def close(self) -> None:
        """Ends all nodes and removes their data."""
        for node in self.nodes:
            node.close()

    def node_id(self, node: ValkeyServer) -> str:
        """The node's id in the cluster."""
        reply = node.call("CLUSTER", "MYID")
        assert isinstance(reply, bytes)
        return reply.decode()

    def primary(self, slot: int) -> ValkeyServer:
        """The running node that serves the slot now, by its own word; raises LookupError if there is none."""
        for node in self.nodes:
            with contextlib.suppress(OSError):
                role, slots = node.call("ROLE"), node.call("CLUSTER", "SLOTS")
                assert isinstance(role, list)
                assert isinstance(slots, list)
                serving = [entry for entry in slots if entry[0] <= slot <= entry[1]]
                if role[0] == b"master" and any(entry[2][1] == node.port for entry in serving):
                    return node
        raise LookupError("no node serves the slot")

    def follows(self, node: ValkeyServer) -> bool:
        """Whether a node is a replica that is in step."""
        role = node.call("ROLE")
        assert isinstance(role, list)
        return role[3:4] == [b"connected"]

    def owner(self, slot: int) -> ValkeyServer:
        """The primary that the slot was given to at the start."""
        return self.nodes[slot // -(-SLOTS // self.primaries)]

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

    def _meet(self) -> None:
        first, *others = self.nodes
        for node in others:
            bus = self._bus_port(node)
            first.call("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        wait_until(lambda: all(self._known(node) == len(self.nodes) for node in self.nodes), "the nodes have met")

    def _replicate(self) -> None:
        for index, node in enumerate(self.nodes[self.primaries :]):
            node.call("CLUSTER", "REPLICATE", self.node_id(self.nodes[index % self.primaries]))

    def _bus_port(self, node: ValkeyServer) -> int:
        reply = node.call("CONFIG", "GET", "cluster-port")
        assert isinstance(reply, list)
        return int(reply[1])

    def _known(self, node: ValkeyServer) -> int:
        reply = node.call("CLUSTER", "NODES")
        assert isinstance(reply, bytes)
        return sum(b"handshake" not in line for line in reply.splitlines())

    def _settled(self, node: ValkeyServer) -> bool:
        with contextlib.suppress(OSError):
            info, slots = node.call("CLUSTER", "INFO"), node.call("CLUSTER", "SLOTS")
            assert isinstance(info, bytes)
            assert isinstance(slots, list)
            # Each entry: first slot, last slot, the primary, its replicas.
            members = sum(len(entry) - 2 for entry in slots)
            return b"cluster_state:ok" in info and members == len(self.nodes)
        return False
