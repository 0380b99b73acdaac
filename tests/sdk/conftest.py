"""The gateway, the provider behind it and the SDKs before it, all on loopback.

    cargo build --features full --example gateway
    pip install --require-hashes -r tests/sdk/requirements.txt
    python -m pytest tests/sdk

`PORTCULLIS_GATEWAY` names another binary than the one that this builds. Whatever a test does, its wire is read afterwards:
each request that reached the provider and each answer and event that the gateway gave is held against the SDKs' types
(`contract.py`).
"""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import anthropic
import anthropic_scenes  # noqa: F401  registers its scenes
import contract
import openai
import openai_scenes  # noqa: F401  registers its scenes
import pytest
from provider import Provider
from scenes import PROVIDERS
from tap import Tap

ROOT = Path(__file__).parents[2]
KEY = "aistats_v1_k_kidAAAA00001_secretBBBB1111secretBBBB1111secretBBBB11"
PRICE = '{ input = "3.00", cache_read = "0.30", output = "15.00" }'
CONFIG = f"""
database = "gateway.db"

[providers.oai]
kind = "openai"
api_key = "sk-provider-oai"
base_url = "http://127.0.0.1:PORT/v1"

[providers.ant]
kind = "anthropic"
api_key = "sk-provider-ant"
base_url = "http://127.0.0.1:PORT"

[providers.demo]
kind = "demo"

[[models]]
id = "oai/*"
targets = [{{ provider = "oai", model = "*", price = {PRICE} }}]

[[models]]
id = "ant/*"
targets = [{{ provider = "ant", model = "*", price = {PRICE} }}]

[[models]]
id = "demo/echo"
targets = [{{ provider = "demo", model = "echo" }}]

[[models]]
id = "spare/openai"
targets = [{{ provider = "ant", model = "claude-sonnet-4-5~error-first" }}, {{ provider = "oai", model = "gpt-4.1~text" }}]

[[models]]
id = "spare/anthropic"
targets = [{{ provider = "oai", model = "gpt-4.1~error-first" }}, {{ provider = "ant", model = "claude-sonnet-4-5~text" }}]

[auth]
keys = [{{ name = "sdk", key = "{KEY}" }}]

[retry]
attempts = 2
"""


@dataclass
class House:
    """What runs for the whole session."""

    tap: Tap
    provider: Provider

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.tap.port}"


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    provider = Provider()
    home = tmp_path_factory.mktemp("gateway")
    (home / "gateway.toml").write_text(CONFIG.replace("PORT", str(provider.port)))
    binary = os.environ.get("PORTCULLIS_GATEWAY", ROOT / "target/debug/examples/gateway")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with (home / "log").open("wb") as log:
        command = [str(binary), "--listen", f"127.0.0.1:{port}"]
        gateway = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        tap = None
        try:
            _await(gateway, port, home / "log")
            tap = Tap(("127.0.0.1", port))
            yield House(tap, provider)
        finally:
            gateway.send_signal(signal.SIGTERM)
            try:
                code = gateway.wait(40)
            except subprocess.TimeoutExpired:
                gateway.kill()
                raise
            if tap is not None:
                tap.close()
            provider.close()
    assert code == 0, (home / "log").read_text()


def _await(gateway: subprocess.Popen, port: int, log: Path) -> None:
    """Until it answers, or has died, or a minute has passed."""
    deadline = time.monotonic() + 60
    while gateway.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the gateway did not start:\n{log.read_text()}")


@pytest.fixture(autouse=True)
def wire(request: pytest.FixtureRequest) -> Iterator["Wire | None"]:
    """Checks, after each test that uses the gateway, everything that went over the wire."""
    if "house" not in request.fixturenames:
        yield None
        return
    house = request.getfixturevalue("house")
    house.provider.take()
    house.tap.take()
    wire = Wire(house)
    yield wire
    wire.close()
    for received in house.provider.take() + wire.seen:
        contract.check_request(received.path, received.headers, received.body)
        wire.check_headers(received.headers)
    for exchange in house.tap.take():
        contract.check_answer(exchange)


class Wire:
    """What a test may ask of what went over the wire, and the clients to send with."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.seen: list[Any] = []
        self._clients: list[Any] = []

    def sent(self) -> dict:
        """The body of the request that the provider got last."""
        self.seen += self.house.provider.take()
        return self.seen[-1].json

    def attempts(self) -> list[Any]:
        """Everything that the provider got so far."""
        self.seen += self.house.provider.take()
        return self.seen

    def unchecked(self) -> dict:
        """The body of the only request since the last look, whose members the SDKs' types do not know."""
        (received,) = self.house.provider.take()
        return received.json

    def openai(self, **more: Any) -> openai.OpenAI:
        client = openai.OpenAI(base_url=self.house.url + "/v1", api_key=KEY, **more)
        self._clients.append(client)
        return client

    def anthropic(self, **more: Any) -> anthropic.Anthropic:
        client = anthropic.Anthropic(base_url=self.house.url, api_key=KEY, **more)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()

    @staticmethod
    def check_headers(headers: dict[str, str]) -> None:
        """Our credential goes up, the caller's does not, and nothing of the SDKs' own tells on the caller."""
        assert KEY not in str(headers)
        given = headers.get("authorization") == "Bearer sk-provider-oai" or headers.get("x-api-key") == "sk-provider-ant"
        assert given, headers
        assert not [name for name in headers if name.startswith(("x-stainless", "x-gateway", "user-agent-"))], headers


@pytest.fixture
def oai(house: House, wire: Wire) -> openai.OpenAI:
    """OpenAI's SDK, with nothing set but where and who."""
    return wire.openai()


@pytest.fixture
def ant(house: House, wire: Wire) -> anthropic.Anthropic:
    """Anthropic's SDK, likewise."""
    return wire.anthropic()



@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    """Each provider in turn, so that a test runs in the same dialect and across."""
    return request.param
