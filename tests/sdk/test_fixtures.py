"""The fixtures of the translation, held against the SDKs' types: what a provider must get, what a caller must see."""

import json
from pathlib import Path

import contract
import pytest
from conftest import ROOT

FIXTURES = ROOT / "tests/fixtures"
PATHS = {"openai-chat": "/v1/chat/completions", "anthropic-messages": "/v1/messages"}


def crossing(kind: str, name: str) -> list[Path]:
    """The files of one name in the cells that translate: same-dialect bytes are the other side's own."""
    found = sorted(FIXTURES.glob(f"*/{kind}/*/{name}"))
    return [path for path in found if len(set(path.relative_to(FIXTURES).parts[0].split("--"))) == 2]


def names(path: Path) -> str:
    return "/".join(path.relative_to(FIXTURES).parts[:-1])


def told(data: bytes | str) -> dict:
    """An answer without the cost and `meta` that the fixtures' own notes make up."""
    body = json.loads(data)
    body.pop("meta", None)
    for holder in (body, body.get("message", {})):
        (holder.get("usage") or {}).pop("cost", None)
    return body


@pytest.mark.parametrize("path", crossing("requests", "upstream.json"), ids=names)
def test_request(path):
    _, provider = path.relative_to(FIXTURES).parts[0].split("--")
    settings = path.with_name("settings.json")
    if settings.exists() and '"reasoning_replay": true' in settings.read_text():
        contract.CHAT_REPLAYED(path.read_bytes())
    else:
        headers = {"anthropic-version": "2023-06-01"} if provider == "anthropic-messages" else {}
        contract.check_request(PATHS[provider], headers, path.read_bytes())


@pytest.mark.parametrize("path", crossing("answers", "caller.json"), ids=names)
def test_answer(path):
    caller, _ = path.relative_to(FIXTURES).parts[0].split("--")
    contract.ANSWERS[PATHS[caller]](told(path.read_bytes()))


@pytest.mark.parametrize("path", crossing("answers", "caller.sse"), ids=names)
def test_stream(path):
    caller, _ = path.relative_to(FIXTURES).parts[0].split("--")
    for name, data in contract.sse(path.read_bytes()):
        contract.check_event(caller == "anthropic-messages", name, data if data == "[DONE]" else json.dumps(told(data)))
