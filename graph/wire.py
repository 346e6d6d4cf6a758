"""The runner's end of the wire: one ROUTER socket, and one place to wait for it and for other descriptors."""

from __future__ import annotations

import os
import secrets
import select
from collections.abc import Iterator
from typing import Any

import zmq

from graph import protocol

# Plain numbers: pyzmq's own flags are enums, whose arithmetic costs more than the call.
_EVENTS, _RCVMORE, _POLLIN = int(zmq.EVENTS), int(zmq.RCVMORE), int(zmq.POLLIN)
_NOW = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK) | int(zmq.SNDMORE)
MESSAGES_AT_ONCE = 64


class Wire:
    """An abstract socket: it has no file that could be left behind, and only this user's processes connect.

    Messages are to be asked for before anything is waited for: the socket's descriptor tells of a message only once,
    and sending may use that up.
    """

    def __init__(self) -> None:
        self.address = f"ipc://@graphrun-{os.getpid()}-{secrets.token_hex(8)}"
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.IPC_FILTER_UID, os.getuid())
        self._socket.router_mandatory = 1
        self._socket.linger = 200
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.maxmsgsize = protocol.MAX_MESSAGE
        self._socket.bind(self.address)
        self._poller = select.epoll()
        self.watch(self._socket.FD)

    def watch(self, descriptor: int) -> None:
        """Have `wait` return when a descriptor is readable."""
        self._poller.register(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        self._poller.unregister(descriptor)

    def wait(self, seconds: float) -> list[int]:
        """The descriptors that have become readable, the socket's among them."""
        return [descriptor for descriptor, _ in self._poller.poll(seconds)]

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        """What has come, as (identity, message); not everything at once, so that nobody can keep the hub busy."""
        for _ in range(MESSAGES_AT_ONCE):
            # Asking first is a fifth of the price of the exception that an empty socket raises.
            if not int(self._socket.getsockopt(_EVENTS)) & _POLLIN:
                return
            identity = self._socket.recv(_NOW)
            raw = self._socket.recv(_NOW)
            if self._socket.getsockopt(_RCVMORE):
                self._skip_rest()
            else:
                yield identity, raw

    def _skip_rest(self) -> None:
        """More than two frames: no worker of ours sends that."""
        while self._socket.getsockopt(zmq.RCVMORE):
            self._socket.recv(_NOW)

    def send(self, identity: bytes, word: int, *parts: Any) -> None:
        """Send a message; to one who is gone it is dropped, since the end of a process is told in another way."""
        try:
            self._socket.send(identity, _MORE)
            self._socket.send(protocol.pack(word, *parts), _NOW)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def close(self) -> None:
        self._poller.close()
        self._socket.close()
        self._context.term()
