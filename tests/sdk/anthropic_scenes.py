"""What the provider plays in Anthropic's API: Messages."""

import json
from typing import Any

from provider import SCENES, Reply, scene, stream, whole

MESSAGES = "/v1/messages"
SIGNATURE = "c2lnbmF0dXJlIG9mIHRoZSB0aG91Z2h0"
REDACTED = "cmVkYWN0ZWQgdGhvdWdodA=="
USAGE = {
    "input_tokens": 200,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 800,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 100,
    "service_tier": "standard",
    "inference_geo": "eu",
}
DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}


def messages(name: str, *blocks: dict, stop: str = "end_turn", **more: Any) -> None:
    """Registers an answer, played whole or streamed as the request asks."""

    def play(request: dict) -> Reply:
        end = {"stop_reason": stop, "stop_sequence": None, **more}
        message = {"id": "msg_mock", "type": "message", "role": "assistant", "model": request["model"]}
        if request.get("stream"):
            return stream(list(_events(message, [dict(block) for block in blocks], end)))
        return whole({**message, "content": list(blocks), **end, "usage": USAGE}, request_id="req_mock")

    scene(MESSAGES, name)(play)


def _events(message: dict, blocks: list[dict], end: dict) -> Any:
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**USAGE, "output_tokens": 1}}
    yield event("message_start", message=start)
    yield event("ping")
    for index, block in enumerate(blocks):
        deltas: list[dict] = []
        if (kind := DELTAS.get(block["type"])) is not None:
            type_, member = kind
            text, block[member] = block[member], ""
            half = len(text) // 2
            deltas += ({"type": type_, member: part} for part in (text[:half], text[half:]))
        if citations := block.pop("citations", None):
            block["citations"] = []
            deltas += ({"type": "citations_delta", "citation": citation} for citation in citations)
        if signature := block.get("signature"):
            block["signature"] = ""
            deltas.append({"type": "signature_delta", "signature": signature})
        if block["type"] == "tool_use":
            text, block["input"] = json.dumps(block["input"]), {}
            half = len(text) // 2
            deltas += ({"type": "input_json_delta", "partial_json": part} for part in ("", text[:half], text[half:]))
        yield event("content_block_start", index=index, content_block=block)
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    counts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    yield event("message_delta", delta=end, usage={name: USAGE[name] for name in counts})
    yield event("message_stop")


def event(type_: str, **members: Any) -> bytes:
    return f"event: {type_}\ndata: {json.dumps({'type': type_, **members}, separators=(',', ':'))}\n\n".encode()


WEATHER = {"type": "tool_use", "id": "toolu_0", "name": "weather", "input": {"city": "Paris"}}
CLOCK = {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {"zone": "CET"}}
CITATION = {
    "type": "char_location",
    "cited_text": "The sky is blue.",
    "document_index": 0,
    "document_title": "Sky",
    "start_char_index": 0,
    "end_char_index": 16,
    "file_id": None,
}

messages("text", {"type": "text", "text": "Hello, wörld."})
messages("length", {"type": "text", "text": "Hello, w"}, stop="max_tokens")
messages("stop", {"type": "text", "text": "Hello"}, stop="stop_sequence", stop_sequence="END")
messages(
    "reasoning",
    {"type": "thinking", "thinking": "First I think.", "signature": SIGNATURE},
    {"type": "redacted_thinking", "data": REDACTED},
    {"type": "text", "text": "Then I speak."},
)
messages(
    "reasoning-tool",
    {"type": "thinking", "thinking": "I need the weather.", "signature": SIGNATURE},
    WEATHER,
    stop="tool_use",
)
messages("tool", WEATHER, stop="tool_use")
messages("tools", {"type": "text", "text": "Let me look."}, WEATHER, CLOCK, stop="tool_use")
messages("json", {"type": "text", "text": '{"city": "Paris", "celsius": 21}'})
messages(
    "refusal",
    {"type": "text", "text": "I won't do that."},
    stop="refusal",
    stop_details={"type": "refusal", "category": "cyber", "explanation": "against the rules"},
)
messages("citations", {"type": "text", "text": "The sky is blue.", "citations": [CITATION]})

ERRORS = {
    400: ("invalid_request_error", {}),
    401: ("authentication_error", {}),
    402: ("billing_error", {}),
    403: ("permission_error", {}),
    404: ("not_found_error", {}),
    408: ("invalid_request_error", {}),
    409: ("invalid_request_error", {}),
    413: ("request_too_large", {}),
    422: ("invalid_request_error", {}),
    429: ("rate_limit_error", {"retry_after": "60"}),
    500: ("api_error", {}),
    503: ("api_error", {"retry_after": "60"}),
    529: ("overloaded_error", {"retry_after": "60"}),
}


def _refuse(status: int) -> None:
    type_, headers = ERRORS[status]
    body = {"type": "error", "error": {"type": type_, "message": f"the provider says {status}"}, "request_id": "req_mock"}
    scene(MESSAGES, str(status))(lambda _: whole(body, status, **headers))


for _status in ERRORS:
    _refuse(_status)

BUSY = event("error", error={"type": "overloaded_error", "message": "the provider is busy"})


@scene(MESSAGES, "error-first")
def _(_request: dict) -> Reply:
    return stream([BUSY])


def _begun(request: dict) -> list[bytes]:
    message = {"id": "msg_mock", "type": "message", "role": "assistant", "model": request["model"]}
    return list(_events(message, [{"type": "text", "text": "Half an ans"}], {}))[:4]


@scene(MESSAGES, "error-later")
def _(request: dict) -> Reply:
    return stream([*_begun(request), BUSY])


@scene(MESSAGES, "cut")
def _(request: dict) -> Reply:
    return stream(_begun(request), cut=True)


@scene(MESSAGES, "json-tool")
def _(request: dict) -> Reply:
    """Whichever tool it is made to call."""
    use = {"type": "tool_use", "id": "toolu_0", "name": request["tools"][0]["name"], "input": {"city": "Paris", "celsius": 21}}
    messages("json-tool-now", use, stop="tool_use")
    return SCENES[MESSAGES, "json-tool-now"](request)
