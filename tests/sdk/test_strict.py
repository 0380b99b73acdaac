"""The validator bites: of each type a sample that passes, and what is wrong with it next to nothing that does not."""

import copy
import json

import contract
import pytest
from anthropic_scenes import MESSAGES
from openai_scenes import CHAT
from provider import SCENES
from strict import Refused

CHAT_REQUEST = {
    "model": "m",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "b"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "stop": ["x"],
}
MESSAGES_REQUEST = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "s"}],
    "messages": [
        {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "text", "text": "a"}]},
    ],
    "tools": [{"name": "f", "input_schema": {"type": "object", "additionalProperties": False}}],
}
COST = {"total_nanos": 1, "total_usd": "0.1", "currency": "USD", "lines": [{"meter": "input", "quantity": 1, "unit_price_usd": None, "cost_usd": "0"}]}


def played(path, name, **request):
    return b"".join(SCENES[path, name]({"model": "m", "input": "a", **request}).chunks)


def whole(path, name):
    return json.loads(played(path, name))


def first(path, name, match):
    events = [json.loads(data) for _, data in contract.sse(played(path, name, stream=True)) if data != "[DONE]"]
    return next(event for event in events if match in json.dumps(event))


ANSWER = {**whole(CHAT, "tools"), "provider": "p", "native_response_id": "n"}
ANSWER["usage"] = {**ANSWER["usage"], "input_tokens": 1, "output_tokens": 1, "cost": COST}
CHUNK = first(CHAT, "tools", "tool_calls")
MESSAGE = {**whole(MESSAGES, "reasoning"), "provider": "p"}
ERROR = {
    "error": {"message": "m", "type": "invalid_request_error", "code": None, "param": None},
    "generation_id": "G",
    "status_code": 400,
    "reason": "validation_error",
    "description": "m",
    "error_origin": "user",
    "attempts": [{"provider": "p", "status": 503, "fault": "overloaded"}],
    "details": [{"path": ["a"], "message": "m"}],
}
MESSAGES_ERROR = {**ERROR, "type": "error", "error": {"type": "invalid_request_error", "message": "m", "code": "c"}, "request_id": "G"}
MODEL = {"id": "m", "object": "model", "created": 1, "owned_by": "o"}
MESSAGES_MODEL = {"type": "model", "id": "m", "display_name": "m", "created_at": "2026-01-01T00:00:00Z", "lifecycle": "active"}
EMBEDDINGS = whole("/v1/embeddings", "embed")
GONE = object()
"""In place of a value: the member is taken away."""

# The type's checker, a sample, and each damage: where, and what stands there instead.
TYPES = {
    "chat request": (
        contract.REQUESTS[CHAT],
        CHAT_REQUEST,
        [
            ("future", 1),
            ("model", GONE),
            ("n", "1"),
            ("stop.0", 1),
            ("messages.0.future", 1),
            ("messages.0.content.0.text", 1),
            ("messages.0.content.1.image_url.future", 1),
            ("messages.1.tool_calls.0.function.arguments", {}),
            ("messages.2.tool_call_id", GONE),
            ("tools.0.function.future", 1),
        ],
    ),
    "messages request": (
        contract.REQUESTS[MESSAGES],
        MESSAGES_REQUEST,
        [
            ("temperature", 1.0),
            ("max_tokens", GONE),
            ("max_tokens", 5.5),
            ("system.0.future", 1),
            ("messages.0.content.0.source.future", 1),
            ("messages.0.content.0.source.type", "uri"),
            ("messages.1.content.0.signature", GONE),
            ("messages.1.content.1.text", None),
            ("messages.1.role", "model"),
            ("tools.0.name", GONE),
        ],
    ),
    "messages request of 2023": (contract.MESSAGES_2023, {**MESSAGES_REQUEST, "temperature": 0.5}, [("temperature", "1"), ("future", 1)]),
    "chat request with reasoning": (
        contract.CHAT_REPLAYED,
        {"model": "m", "messages": [{"role": "assistant", "content": "a", "reasoning_content": "t"}]},
        [("messages.0.reasoning_content", 1), ("messages.0.reasoning", "t")],
    ),
    "embedding request": (contract.REQUESTS["/v1/embeddings"], {"model": "m", "input": [[1, 2]]}, [("future", 1), ("input.0.0", "1"), ("dimensions", 1.5)]),
    "moderation request": (
        contract.REQUESTS["/v1/moderations"],
        {"model": "m", "input": [{"type": "text", "text": "a"}]},
        [("future", 1), ("input.0.future", 1), ("input.0.text", GONE)],
    ),
    "image request": (contract.REQUESTS["/v1/images/generations"], {"model": "m", "prompt": "p"}, [("future", 1), ("prompt", GONE), ("n", "2")]),
    "chat answer": (
        contract.ANSWERS[CHAT],
        ANSWER,
        [
            ("future", 1),
            ("created", 1.5),
            ("created", "1"),
            ("provider", 1),
            ("choices.0.future", 1),
            ("choices.0.finish_reason", "end_turn"),
            ("choices.0.message.future", 1),
            ("choices.0.message.tool_calls.0.function.arguments", {}),
            ("usage.prompt_tokens", GONE),
            ("usage.cost.total_nanos", 0.5),
            ("usage.cost.lines.0.future", 1),
        ],
    ),
    "chunk": (
        contract.CHUNK,
        CHUNK,
        [("future", 1), ("id", GONE), ("choices.0.delta.future", 1), ("choices.0.index", "0"), ("choices.0.delta.tool_calls.0.index", GONE)],
    ),
    "message": (
        contract.ANSWERS[MESSAGES],
        MESSAGE,
        [
            ("future", 1),
            ("usage.input_tokens", GONE),
            ("usage.future", 1),
            ("stop_reason", "stop"),
            ("content.0.signature", GONE),
            ("content.0.future", 1),
            ("content.2.text", 1),
        ],
    ),
    "message_start": (contract.EVENT, first(MESSAGES, "text", "message_start"), [("future", 1), ("message.id", GONE), ("message.usage.future", 1)]),
    "content_block_start": (contract.EVENT, first(MESSAGES, "tool", "content_block_start"), [("index", "0"), ("content_block.input", "{}")]),
    "content_block_delta": (contract.EVENT, first(MESSAGES, "text", "text_delta"), [("delta.future", 1), ("delta.text", GONE), ("delta.type", "text")]),
    "message_delta": (contract.EVENT, first(MESSAGES, "text", "message_delta"), [("delta.future", 1), ("usage.output_tokens", GONE)]),
    "message_stop": (contract.EVENT, {"type": "message_stop"}, [("future", 1), ("type", "stop")]),
    "ping": (contract.PING, {"type": "ping"}, [("future", 1), ("type", GONE)]),
    "error": (
        contract.OPENAI_ERROR,
        ERROR,
        [("future", 1), ("error.future", 1), ("error.message", GONE), ("attempts.0.future", 1), ("error_origin", "nobody")],
    ),
    "messages error": (contract.MESSAGES_ERROR, MESSAGES_ERROR, [("future", 1), ("type", GONE), ("error.type", "invalid"), ("error.future", 1)]),
    "embeddings": (
        contract.ANSWERS["/v1/embeddings"],
        EMBEDDINGS,
        [("future", 1), ("data.0.future", 1), ("data.0.embedding.0", "1"), ("usage.future", 1)],
    ),
    "moderations": (
        contract.ANSWERS["/v1/moderations"],
        whole("/v1/moderations", "moderate"),
        [("future", 1), ("results.0.future", 1), ("results.0.flagged", 1), ("results.0.categories.hate/threatening", GONE)],
    ),
    "images": (
        contract.ANSWERS["/v1/images/generations"],
        whole("/v1/images/generations", "paint"),
        [("future", 1), ("data.0.future", 1), ("created", "1"), ("usage.total_tokens", GONE)],
    ),
    "model": (contract.MODEL, MODEL, [("future", 1), ("created", GONE), ("object", "list")]),
    "models": (
        contract.MODELS,
        {"object": "list", "data": [MODEL], "ok": True, "limit": 1, "offset": 0, "total": 1, "models": []},
        [("future", 1), ("data.0.future", 1), ("ok", 1)],
    ),
    "messages model": (contract.MESSAGES_MODEL, MESSAGES_MODEL, [("future", 1), ("created_at", "yesterday"), ("lifecycle", GONE)]),
    "messages models": (
        contract.MESSAGES_MODELS,
        {"data": [MESSAGES_MODEL], "first_id": "m", "last_id": "m", "has_more": False},
        [("future", 1), ("data.0.future", 1), ("has_more", 0)],
    ),
}


def damaged(sample, path, value):
    sample = copy.deepcopy(sample)
    *holders, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    target = sample
    for step in holders:
        target = target[step]
    if value is GONE:
        del target[last]
    else:
        target[last] = value
    return sample


@pytest.mark.parametrize("name", TYPES)
def test_sample_passes(name):
    check, sample, _ = TYPES[name]
    check(sample)


DAMAGES = [pytest.param(name, *damage, id=f"{name}: {damage[0]}") for name, (_, _, damages) in TYPES.items() for damage in damages]


@pytest.mark.parametrize(("name", "path", "value"), DAMAGES)
def test_damage_is_refused(name, path, value):
    check, sample, _ = TYPES[name]
    with pytest.raises(Refused):
        check(damaged(sample, path, value))


ERRORS = ("error-first", "error-later", "cut", "json-tool", "json-tool-now")


@pytest.mark.parametrize(("path", "name"), [key for key in SCENES if not key[1].isdigit() and key[1] not in ERRORS and key[0] in (CHAT, MESSAGES)])
def test_provider_is_honest(path, name):
    """What the provider plays is of the types too: it must not be its mistakes that pass."""
    contract.ANSWERS[path](played(path, name))
    for event, data in contract.sse(played(path, name, stream=True, stream_options={"include_usage": True})):
        contract.check_event(path == MESSAGES, event, data)
