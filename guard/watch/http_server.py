"""/livez, /readyz and /metrics, in the watcher's own poll loop: no thread, no wake-up of its own, no client waited for.

What a page shows is the caller's; the port may be taken, then it is tried again.
"""

import errno
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

#: Clients at once; the oldest is dropped for a new one, since a half-open connection lasts forever.
_CLIENTS = 16
#: Seconds that a client may take for its request and for reading the answer.
_PATIENCE = 5.0
#: The longest request that is read, in bytes.
_REQUEST = 8 * 1024
#: Seconds before a port that was in use is tried again.
_RETRY = 10.0


@dataclass(frozen=True)
class Page:
    """An answer."""

    status: str  # 200 OK
    text: str
    content_type: str = "text/plain; charset=utf-8"


@dataclass
class _Client:
    connection: socket.socket
    until: float
    request: bytes = b""
    answer: bytes = b""


class HttpServer:
    """A small HTTP listener: at the address of GUARD_LISTEN if there is one, for a loop that polls."""

    def __init__(self, address: tuple[str, int] | None, pages: dict[str, Callable[[], Page]]) -> None:
        self._address = address
        self._pages = pages
        self._listener: socket.socket | None = None
        self._clients: dict[int, _Client] = {}
        self._retry_at = float("-inf")

    def listen(self, now: float) -> str | None:
        """Opens the port if it is not open yet and a try is due.

        Returns why that failed, empty if it did not; None where nothing was tried.
        """
        if self._address is None or self._listener is not None or now < self._retry_at:
            return None
        try:
            self._listener = _listening(self._address)
        except OSError as error:
            self._retry_at = now + _RETRY
            return (error.strerror or str(error)).partition(" (while attempting")[0]
        return ""

    def interests(self) -> Iterator[tuple[int, int]]:
        """Returns the descriptors to poll, each with its events."""
        if self._listener is not None:
            yield self._listener.fileno(), select.POLLIN
        for descriptor, client in self._clients.items():
            yield descriptor, select.POLLOUT if client.answer else select.POLLIN

    def due(self) -> float | None:
        """When the server must act without a request, on the monotonic clock."""
        dues = [client.until for client in self._clients.values()]
        if self._address is not None and self._listener is None:
            dues.append(self._retry_at)
        return min(dues, default=None)

    def owns(self, descriptor: int) -> bool:
        """Whether the descriptor belongs to this server."""
        return descriptor in self._clients or (self._listener is not None and descriptor == self._listener.fileno())

    def serve(self, descriptor: int, now: float) -> None:
        """Does what can be done with a descriptor that is ready, without waiting."""
        client = self._clients.get(descriptor)
        if client is None:
            self._accept(now)
            return
        try:
            if client.answer or self._read(client):
                self._write(client)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)

    def expire(self, now: float) -> None:
        """Drops clients that took too long."""
        for client in [client for client in self._clients.values() if client.until <= now]:
            self._drop(client)

    def close(self) -> None:
        """Ends all of it."""
        for client in list(self._clients.values()):
            self._drop(client)
        if self._listener is not None:
            self._listener.close()

    def _accept(self, now: float) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:  # it would be ready forever: it is opened again later
                self._listener.close()
                self._listener, self._retry_at = None, now + _RETRY
            return  # otherwise the client went away
        connection.setblocking(False)
        if len(self._clients) >= _CLIENTS:
            self._drop(min(self._clients.values(), key=lambda client: client.until))
        self._clients[connection.fileno()] = _Client(connection, now + _PATIENCE)

    def _read(self, client: _Client) -> bool:
        """Whether the request is whole; the answer is made then."""
        chunk = client.connection.recv(_REQUEST)
        if not chunk:
            raise ConnectionResetError
        client.request += chunk
        if b"\r\n\r\n" not in client.request and b"\n\n" not in client.request and len(client.request) < _REQUEST:
            return False
        client.answer = self._answer(client.request)
        return True

    def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        target = rest.split(maxsplit=1)[0].partition(b"?")[0].decode("ascii", "replace") if rest.strip() else ""
        if method != b"GET":
            page = Page("405 Method Not Allowed", "only GET\n")
        elif target in self._pages:
            page = self._pages[target]()
        else:
            page = Page("404 Not Found", f"here are {', '.join(sorted(self._pages))}\n")
        body = page.text.encode("utf-8", "backslashreplace")
        head = (
            f"HTTP/1.1 {page.status}\r\nContent-Type: {page.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body

    def _write(self, client: _Client) -> None:
        while client.answer:
            client.answer = client.answer[client.connection.send(client.answer) :]
        with suppress(OSError):
            client.connection.shutdown(socket.SHUT_WR)
        self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._clients.pop(client.connection.fileno(), None)
        client.connection.close()


def _listening(address: tuple[str, int]) -> socket.socket:
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    listener = socket.create_server((host.strip("[]"), port), family=family, backlog=_CLIENTS, dualstack_ipv6=both)
    listener.setblocking(False)
    return listener
