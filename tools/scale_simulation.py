"""How long a video takes on a cluster, simulated: parts that wait for a place, share the storage, and are joined.

Usage: python tools/scale_simulation.py [--hours 2] [--rate 25] [--packet 0.040] …  (--help tells all)

Every number that goes in is a service time that can be measured on one machine; those that stand there are of
pipelines/lipsync.yaml with a generator that needs no network, on two cores (docs/scale.md). What comes out is where the
time goes as nodes are added. The events are the engine's: the graphs that run first; then for each part its placement,
the copy of what ran first, the reading of the file, the start of the workers, the packets; then the join.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Cluster:
    """A video and what it meets. Seconds, megabytes, megabytes a second."""

    packets: int = 180_000  # of the video
    packet: float = 0.014  # of the slowest stage on one place
    around: int = 8  # packets that a part computes for its windows alone
    first: float = 0.013  # a packet of the graphs that run first, which run once, in one piece
    start: float = 3.0  # until the workers of a run flow
    place: float = 0.02  # of the driver, to place a part and to note its end
    connect: float = 1.0  # of the driver, to reach the cluster and to be ready
    join: float = 0.0002  # a packet, copied into the output
    file: float = 5_000.0  # of the video: every part reads all of it for its index
    carried: float = 700.0  # of what ran first, fetched once by each node
    storage: float = 2_000.0  # all readers together
    link: float = 1_000.0  # one node
    nodes: int = 1
    places: int = 1  # runs a node takes at once
    parts: int = 0  # 0: two for each place, none below 750 packets

    @property
    def slots(self) -> int:
        return self.nodes * self.places

    @property
    def count(self) -> int:
        """How many parts there are."""
        return self.parts or max(1, min(2 * self.slots if self.slots > 1 else 1, self.packets // 750))


@dataclass(frozen=True)
class Result:
    """Seconds until the output is there, and how long each phase had the run wait; GB read from the storage."""

    total: float
    first: float
    flow: float
    join: float
    read: float
    busy: float


def simulate(cluster: Cluster) -> Result:
    """Run the parts through the cluster.

    The storage serves those who read at the same time evenly. That many begin together is the rule, so a part's
    reading takes as long as its share of the storage, or its own link, allows for those that read when it begins.
    """
    parts = cluster.count
    first = cluster.connect + cluster.packets * cluster.first
    own = [len(range(at, cluster.packets, parts)) for at in range(parts)]
    free = [(first, slot) for slot in range(min(cluster.slots, parts))]
    heapq.heapify(free)
    reading: list[float] = []
    fetched: set[int] = set()
    driver, ended, busy = first, first, 0.0
    for packets in own:
        at, slot = heapq.heappop(free)
        driver = begin = max(at, driver) + cluster.place
        node = slot // cluster.places
        more = 0.0 if node in fetched else cluster.carried
        fetched.add(node)
        while reading and reading[0] <= begin:
            heapq.heappop(reading)
        speed = min(cluster.link, cluster.storage / (len(reading) + 1))
        flows = begin + (cluster.file + more) / speed
        heapq.heappush(reading, flows)
        work = (packets + (cluster.around if parts > 1 else 0)) * cluster.packet
        end = flows + cluster.start + work
        busy += work
        ended = max(ended, end)
        heapq.heappush(free, (end, slot))
    join = cluster.packets * cluster.join if parts > 1 else 0.0
    read = (parts * cluster.file + len(fetched) * cluster.carried) / 1000
    return Result(ended + join, first, ended - first, join, read, busy / ((ended - first) * cluster.slots))


def rows(cluster: Cluster, nodes: list[int]) -> Iterator[str]:
    """A table over numbers of nodes."""
    heads = {"nodes": 6, "parts": 6, "minutes": 9, "speed-up": 9, "first": 7, "flow": 8, "join": 6, "busy": 6}
    yield " ".join(f"{word:>{width}}" for word, width in {**heads, "TB read": 8}.items())
    alone = simulate(replace(cluster, nodes=1)).total
    for count in nodes:
        one = replace(cluster, nodes=count)
        found = simulate(one)
        yield (
            f"{count:>6} {one.count:>6} {found.total / 60:>9.2f} {alone / found.total:>9.1f} {found.first / 60:>7.2f} "
            f"{found.flow / 60:>8.2f} {found.join / 60:>6.2f} {found.busy:>6.0%} {found.read / 1000:>8.2f}"
        )


def two_nodes(packets: int, packet: float, start: float) -> tuple[float, float]:
    """The measurement of the tests, simulated: seconds for two parts that need no core, on one node and on two."""
    plain = Cluster(packets, packet, around=0, first=0, start=start, connect=0, join=0, file=0, carried=0, parts=2)
    return simulate(plain).total, simulate(replace(plain, nodes=2)).total


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    for one in fields(Cluster):
        if one.name != "nodes":
            parser.add_argument(f"--{one.name}", type=type(one.default), default=one.default)
    parser.add_argument("--nodes", type=int, nargs="*", default=[1, 2, 4, 10, 30, 100, 300, 1000, 3000, 10000])
    given = vars(parser.parse_args())
    nodes = given.pop("nodes")
    for line in itertools.chain(rows(Cluster(**given), nodes)):
        print(line)


if __name__ == "__main__":
    main()
