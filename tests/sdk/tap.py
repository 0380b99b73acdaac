"""A wire between the SDKs and the gateway that remembers what went over it.

It copies bytes and changes none, so that the SDKs need nothing but another base URL, and what is checked is what was sent.
"""

import http.client
import io
import socket
import threading

from contract import Exchange


class Tap:
    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._lines: list[_Line] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def take(self) -> list[Exchange]:
        """What was exchanged since the last time, by connection. The clients must have been closed."""
        lines, self._lines = self._lines, []
        return [exchange for line in lines for exchange in line.exchanges()]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._lines.append(_Line(client, socket.create_connection(self._upstream)))


class _Line:
    """One connection."""

    def __init__(self, client: socket.socket, gateway: socket.socket) -> None:
        self._up, self._down = bytearray(), bytearray()
        self._ends = (client, gateway)
        self._both_ended = threading.Barrier(2, action=self._close)
        ways = ((client, gateway, self._up), (gateway, client, self._down))
        self._threads = [threading.Thread(target=self._copy, args=way, daemon=True) for way in ways]
        for thread in self._threads:
            thread.start()

    def _copy(self, source: socket.socket, sink: socket.socket, record: bytearray) -> None:
        try:
            while data := source.recv(1 << 16):
                record += data  # before the other side can act on it
                sink.sendall(data)
        except OSError:
            pass
        # One way's end is passed on as such: the other may still be telling why.
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self._both_ended.wait()

    def _close(self) -> None:
        for end in self._ends:
            end.close()

    def exchanges(self) -> list[Exchange]:
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a client is still connected"
        requests, answers = io.BytesIO(bytes(self._up)), io.BytesIO(bytes(self._down))
        found = []
        while line := requests.readline():
            method, path, _ = line.decode().split(" ")
            headers = _headers(requests)
            body = requests.read(int(headers.get("content-length", 0)))
            response = http.client.HTTPResponse(_Played(answers), method=method)
            response.begin()
            try:
                answer = response.read()
            except http.client.IncompleteRead as cut:  # the client had heard enough
                answer = cut.partial
            received = {name.lower(): value for name, value in response.getheaders()}
            found.append(Exchange(method, path, headers, body, response.status, received, answer))
        return found


class _Played:
    """As much of a socket as `HTTPResponse` wants, over recorded bytes that several answers share."""

    def __init__(self, answers: io.BytesIO) -> None:
        self._answers = answers

    def makefile(self, _mode: str) -> io.BufferedReader:
        return _Shared(self._answers)


class _Shared(io.RawIOBase):
    def __init__(self, inner: io.BytesIO) -> None:
        self._inner = inner

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(size)

    def readline(self, size: int = -1) -> bytes:
        return self._inner.readline(size)

    def readinto(self, buffer: bytearray) -> int:
        return self._inner.readinto(buffer)


def _headers(stream: io.BytesIO) -> dict[str, str]:
    headers = {}
    while (line := stream.readline().decode().rstrip("\r\n")):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return headers
