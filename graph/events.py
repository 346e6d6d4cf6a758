"""What the scheduler hears and what it says: events go in, instructions come out."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple


class WorkerId(NamedTuple):
    """One process of a node: which replica, and the how many-th process in its place."""

    node: int
    replica: int
    incarnation: int = 0


@dataclass(slots=True)
class Ready:
    """A worker is open and takes tasks. `whole`: a sink that goes on has the packets before this one already."""

    worker: WorkerId
    whole: int = 0


@dataclass(slots=True)
class Result:
    """What became of one packet of a task: `fields` are the small values (and row counts) that the node wrote."""

    skipped: bool = False
    time: Fraction | None = None
    fields: dict[str, Any] | None = None


@dataclass(slots=True)
class Done:
    """A worker has ended a task; results in the order of the task's packets. `end`: the source has no such packet."""

    worker: WorkerId
    task: int
    results: tuple[Result, ...] = ()
    end: bool = False


@dataclass(slots=True)
class Failed:
    """A stage raised an exception. `index` is the packet if it is known which one of the task it was."""

    worker: WorkerId
    task: int
    message: str
    index: int | None = None
    stage: str | None = None


@dataclass(slots=True)
class Died:
    """A worker's process has ended without being told to."""

    worker: WorkerId
    why: str = "died"


@dataclass(slots=True)
class Finished:
    """A worker has finished: nothing is held any more."""

    worker: WorkerId


@dataclass(slots=True)
class Drain:
    """Begin nothing new at the sources; what is in flight is to be finished."""


@dataclass(slots=True)
class Tick:
    """Time has passed."""


Event = Ready | Done | Failed | Died | Finished | Drain | Tick


# ---------------------------------------------------------------------------------------------------- instructions


@dataclass(slots=True)
class Task:
    """Packets handed to a worker. `passing`: fill the outputs without the work, since the work failed."""

    id: int
    node: int
    indices: tuple[int, ...]
    passing: bool = False
    attempt: int = 0


@dataclass(slots=True)
class Begin:
    """Hand a task to a worker."""

    worker: WorkerId
    task: Task


@dataclass(slots=True)
class Finish:
    """Tell a worker that its last packet has been."""

    worker: WorkerId


@dataclass(slots=True)
class Stop:
    """Tell a worker to go."""

    worker: WorkerId


@dataclass(slots=True)
class Replace:
    """Start a process in the place of one that died, `after` seconds from now."""

    worker: WorkerId
    after: float


@dataclass(slots=True)
class Renew:
    """Have a stage begin anew, as a worker with this name: in the process that is there, if it still is."""

    worker: WorkerId


@dataclass(slots=True)
class Back:
    """The run has gone back, since a worker of `node` died: every node from packet `through` to packet `starts`."""

    node: int
    why: str
    through: tuple[int, ...]
    starts: tuple[int, ...]


@dataclass(slots=True)
class Lost:
    """A packet ends here because of an error: to be counted and named in the report."""

    node: int
    index: int
    time: Fraction | None
    message: str
    passed: bool
    stage: str | None = None


@dataclass(slots=True)
class Abort:
    """The run cannot go on. `packet` and `time` where there is one to blame."""

    reason: str
    node: int | None = None
    index: int | None = None
    time: Fraction | None = None
    stage: str | None = None


@dataclass(slots=True)
class Over:
    """Everything has ended and the counts agree."""


Instruction = Begin | Finish | Stop | Replace | Renew | Back | Lost | Abort | Over
