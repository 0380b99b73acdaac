"""A provider on loopback that plays scenes.

The model's name says which: `gpt-4.1~tools` plays the scene `tools`, so that each test names the answer it is about. The
part before `~` is a name whose abilities the gateway knows. It speaks OpenAI's and Anthropic's APIs on one port and
remembers every request.
"""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable


@dataclass
class Reply:
    """What goes back, byte for byte. `chunks` are sent one by one, each as it stands."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    cut: bool = False
    """Whether the connection breaks after the last chunk, with no end of the body."""


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Scene = Callable[[dict], Reply]
SCENES: dict[tuple[str, str], Scene] = {}
"""By path and name."""


def scene(path: str, name: str) -> Callable[[Scene], Scene]:
    def register(play: Scene) -> Scene:
        SCENES[path, name] = play
        return play

    return register


def whole(body: Any, status: int = 200, **headers: str) -> Reply:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"content-type": "application/json", **headers}, [json.dumps(body).encode()])


def stream(events: list[bytes], cut: bool = False) -> Reply:
    return Reply(200, {"content-type": "text/event-stream; charset=utf-8"}, events, cut)


class Provider:
    def __init__(self) -> None:
        self.received: list[Received] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                provider.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                request = json.loads(body)
                name = request["model"].rpartition("~")[2]
                try:
                    reply = SCENES[self.path, name](request)
                except KeyError:
                    reply = whole({"error": {"message": f"no scene {name} at {self.path}", "type": "test"}}, 418)
                self.reply(reply)

            def reply(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for chunk in reply.chunks:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                    self.wfile.flush()
                if reply.cut:
                    self.close_connection = True
                else:
                    self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self) -> list[Received]:
        """What came since the last time."""
        received, self.received = self.received, []
        return received

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
