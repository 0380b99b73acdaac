"""What the provider plays in OpenAI's API: Chat Completions, embeddings, moderations, images."""

import base64
import json
import struct
from typing import Any

from provider import Reply, scene, stream, whole

CHAT = "/v1/chat/completions"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 800, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 0},
}


def chat(name: str, *messages: dict, finish: str = "stop", **more: Any) -> None:
    """Registers an answer of one choice per message, played whole or streamed as the request asks."""

    def play(request: dict) -> Reply:
        head = {"id": "chatcmpl-mock", "created": 1_790_000_000, "model": request["model"], "system_fingerprint": "fp_mock", **more}
        choices = [dict(message) for message in messages]
        if request.get("stream"):
            return stream(list(_chunks(head, choices, finish, request.get("stream_options", {}).get("include_usage", False))))
        answer = {**head, "object": "chat.completion", "choices": [], "usage": USAGE}
        for index, message in enumerate(choices):
            logprobs = message.pop("logprobs", None)
            message = {"role": "assistant", "content": None, "refusal": None, **message}
            answer["choices"].append({"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish})
        return whole(answer, x_request_id="req_mock", openai_organization="org-mock")

    scene(CHAT, name)(play)


def _chunks(head: dict, choices: list[dict], finish: str, usage: bool) -> Any:
    def chunk(index: int, delta: dict, finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        body = {**head, "object": "chat.completion.chunk", "choices": [choice], **({"usage": None} if usage else {})}
        return data(body)

    for index, message in enumerate(choices):
        logprobs = message.pop("logprobs", None)
        yield chunk(index, {"role": "assistant", "content": "" if message.get("content") else None, "refusal": None})
        for member in ("reasoning_content", "content", "refusal"):
            text = message.get(member) or ""
            half = len(text) // 2 or 1
            for at, part in enumerate(filter(None, (text[:half], text[half:]))):
                yield chunk(index, {member: part}, logprobs=logprobs if (member, at) == ("content", 0) else None)
        for at, call in enumerate(message.get("tool_calls", [])):
            function = call["function"]
            yield chunk(index, {"tool_calls": [{"index": at, **call, "function": {**function, "arguments": ""}}]})
            half = len(function["arguments"]) // 2
            for part in (function["arguments"][:half], function["arguments"][half:]):
                yield chunk(index, {"tool_calls": [{"index": at, "function": {"arguments": part}}]})
        yield chunk(index, {}, finish)
    if usage:
        yield data({**head, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    yield b"data: [DONE]\n\n"


def data(body: Any) -> bytes:
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def call(at: int, name: str, arguments: dict) -> dict:
    return {"id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


WEATHER = call(0, "weather", {"city": "Paris"})
CLOCK = call(1, "clock", {"zone": "CET"})

chat("text", {"content": "Hello, wörld."})
chat("length", {"content": "Hello, w"}, finish="length")
chat("reasoning", {"reasoning_content": "First I think.", "content": "Then I speak."})
chat("tool", {"tool_calls": [WEATHER]}, finish="tool_calls")
chat("tools", {"content": "Let me look.", "tool_calls": [WEATHER, CLOCK]}, finish="tool_calls")
chat("json", {"content": '{"city": "Paris", "celsius": 21}'})
chat("refusal", {"refusal": "I won't do that."})
chat("filtered", {"content": "I wo"}, finish="content_filter")
chat("choices", {"content": "One."}, {"content": "Two."})
chat(
    "logprobs",
    {
        "content": "Hi",
        "logprobs": {
            "content": [
                {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}]}
            ],
            "refusal": None,
        },
    },
)
chat(
    "citations",
    {
        "content": "The sky is blue.",
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {"start_index": 0, "end_index": 16, "title": "Sky", "url": "https://sky.example/"},
            }
        ],
    },
)

ERRORS = {
    400: ("invalid_request_error", "bad_value", {}),
    401: ("invalid_request_error", "invalid_api_key", {}),
    402: ("insufficient_quota", "insufficient_quota", {}),
    403: ("invalid_request_error", "unsupported_country", {}),
    404: ("invalid_request_error", "not_found", {}),
    408: ("server_error", "timeout", {}),
    409: ("invalid_request_error", "conflict", {}),
    413: ("invalid_request_error", "too_large", {}),
    422: ("invalid_request_error", "unprocessable", {}),
    429: ("rate_limit_error", "rate_limit_exceeded", {"retry_after": "60"}),
    500: ("server_error", "server_error", {}),
    503: ("server_error", "overloaded", {"retry_after": "60"}),
}


def _refuse(status: int) -> None:
    type_, code, headers = ERRORS[status]
    error = {"message": f"the provider says {status}", "type": type_, "param": None, "code": code}
    for path in (CHAT, "/v1/embeddings", "/v1/moderations", "/v1/images/generations"):
        scene(path, str(status))(lambda _: whole({"error": error}, status, **headers))


for _status in ERRORS:
    _refuse(_status)

BUSY = data({"error": {"message": "the provider is busy", "type": "server_error", "param": None, "code": None}})


@scene(CHAT, "error-first")
def _(_request: dict) -> Reply:
    return stream([BUSY])


@scene(CHAT, "error-later")
def _(request: dict) -> Reply:
    head = {"id": "chatcmpl-mock", "created": 1_790_000_000, "model": request["model"]}
    return stream([*list(_chunks(head, [{"content": "Half an ans"}], "stop", False))[:2], BUSY])


@scene(CHAT, "cut")
def _(request: dict) -> Reply:
    head = {"id": "chatcmpl-mock", "created": 1_790_000_000, "model": request["model"]}
    return stream(list(_chunks(head, [{"content": "Half an ans"}], "stop", False))[:2], cut=True)


@scene("/v1/embeddings", "embed")
def _(request: dict) -> Reply:
    numbers = [0.25, -0.5, 1.0]
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    encoded = base64.b64encode(struct.pack("<3f", *numbers)).decode() if request.get("encoding_format") == "base64" else numbers
    return whole(
        {
            "object": "list",
            "model": request["model"],
            "data": [{"object": "embedding", "index": at, "embedding": encoded} for at, _ in enumerate(texts)],
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        }
    )


@scene("/v1/moderations", "moderate")
def _(request: dict) -> Reply:
    plain = ["harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "sexual/minors"]
    both = ["self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic"]
    result = {
        "flagged": True,
        "categories": {name: name == "violence" for name in plain + both},
        "category_scores": {name: 0.9 if name == "violence" else 0.0001 for name in plain + both},
        "category_applied_input_types": {**{name: ["text"] for name in plain}, **{name: ["text"] for name in both}},
    }
    return whole({"id": "modr-mock", "model": request["model"], "results": [result]})


@scene("/v1/images/generations", "paint")
def _(request: dict) -> Reply:
    return whole(
        {
            "created": 1_790_000_000,
            "data": [{"b64_json": PIXEL} for _ in range(request.get("n", 1))],
            "background": "opaque",
            "output_format": "png",
            "quality": "low",
            "size": "1024x1024",
            "usage": {
                "input_tokens": 10,
                "input_tokens_details": {"image_tokens": 0, "text_tokens": 10},
                "output_tokens": 272,
                "total_tokens": 282,
            },
        }
    )
