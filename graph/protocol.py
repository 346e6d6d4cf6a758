"""The messages between the hub and its workers: msgpack lists that begin with a word's number.

Hub to worker:
  SETUP      [members, facts, resume, threads]    what to load; a member is {name, use, beside, params, renamed},
             threads are [cores, share], see `graph.stage`
  CONFIGURE  [shapes, stream]            what is known of the packets to come
  MAP        [path, arenas, in, out, batch, source]    where the slots are; the small fields that travel, in order
  TASKS      [[task, mode, packets] …]   a packet is [index, numerator, denominator, values, neighbours?]
  FINISH     [interrupted]               there is nothing more, or nothing more is wanted
  STOP       []
Worker to hub:
  HELLO      []
  OPENED     []                          its stages are open
  CAPS       [shapes, stream, written]   what it will write, by the graph's field names; what a sink already has
  READY      [about]                     it takes tasks
  RESULTS    [[task, started, busy, results] …, extras]   a result is OK, SKIPPED or [state, num, den, values]
  END        [task]                      the source has no such packet
  FAILED     [task, stage, index, message, traceback]     the index is None if it was a whole batch
  BROKEN     [stage, phase, message, traceback]           it could not open, configure or finish
  FINISHED   [outputs, extras]
Extras are {counts, notes, cpu} by what has happened since the last message, and {about} at the end.

Nothing is unpickled anywhere, and a message has a largest size.
"""

from __future__ import annotations

from typing import Any

import msgpack

SETUP, CONFIGURE, MAP, TASKS, FINISH, STOP = range(6)
HELLO, OPENED, CAPS, READY, RESULTS, END, FAILED, BROKEN, FINISHED = range(10, 19)

OK, SKIPPED = 0, 1
WORK, PASS = 0, 1
MAX_MESSAGE = 64 * 1024 * 1024

_packer = msgpack.Packer(use_bin_type=True)


def pack(word: int, *parts: Any) -> bytes:
    """A message. Raises TypeError or ValueError for what a message cannot carry."""
    packed: bytes = _packer.pack((word, *parts))
    return packed


def unpack(raw: bytes | memoryview) -> list[Any]:
    """The word's number and the parts; raises ValueError if it is no message."""
    if len(raw) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(raw)} bytes")
    try:
        message = msgpack.unpackb(raw, raw=False, strict_map_key=False, use_list=True, max_ext_len=0)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:  # TypeError: a list for a key
        raise ValueError(f"not a message: {error}") from None
    if not isinstance(message, list) or not message or not isinstance(message[0], int):
        raise ValueError("not a message")
    return message
