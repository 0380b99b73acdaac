"""What goes over the wire, as types: the SDKs' own, and by name what the gateway adds to its answers."""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any, Literal, Optional, Union, get_args

import anthropic.types as messages
import openai.types as openai
import openai.types.chat as chat
from anthropic.types.message_create_params import (
    MessageCreateParams,
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from anthropic.types.shared import ErrorObject as MessagesErrorObject
from openai.types.chat.chat_completion_assistant_message_param import ChatCompletionAssistantMessageParam
from openai.types.chat.chat_completion_chunk import ChoiceDelta
from openai.types.chat.chat_completion_message import Annotation
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.completion_usage import CompletionUsage
from openai.types.create_embedding_response import Usage as EmbeddingUsage
from openai.types.embedding_create_params import EmbeddingCreateParams
from openai.types.image_generate_params import ImageGenerateParams
from openai.types.images_response import Usage as ImagesUsage
from openai.types.moderation_create_params import ModerationCreateParams
from openai.types.shared import ErrorObject
from pydantic import BaseModel
from strict import Additions, Refused, Strict
from typing_extensions import NotRequired, TypedDict

# --- what the gateway adds


class CostLine(TypedDict):
    meter: str
    quantity: int
    unit_price_usd: Optional[str]
    cost_usd: str


class Cost(TypedDict):
    total_nanos: int
    total_usd: str
    currency: Literal["USD"]
    lines: list[CostLine]


class Requests(TypedDict):
    """What a moderation used: OpenAI's API counts nothing there."""

    requests: int
    cost: Cost


class Meta(TypedDict):
    request_id: str
    endpoint: str
    provider: str
    model: str
    provider_model: str
    attempts: int
    ttft_ms: float
    generation_ms: float
    latency_ms: float
    gateway_ms: float
    throughput_tps: Optional[float]


class ReasoningDetail(TypedDict):
    """One piece of a model's reasoning, with what proves or hides it, for the caller to send back."""

    type: Literal["reasoning.text", "reasoning.encrypted"]
    text: NotRequired[str]
    data: NotRequired[str]
    signature: NotRequired[str]
    format: NotRequired[str]
    index: int


class AttemptMade(TypedDict):
    provider: str
    status: Optional[int]
    fault: str


class Detail(TypedDict):
    path: list[str]
    message: str


ERROR: dict[str, Any] = {
    "generation_id": str,
    "status_code": int,
    "reason": str,
    "description": str,
    "error_origin": Literal["user", "gateway", "provider"],
    "attempts": list[AttemptMade],
    "details": list[Detail],
    "reset_at": Optional[int],
}
ANSWER: dict[str, Any] = {"provider": str, "native_response_id": str, "meta": Meta}
REASONING: dict[str, Any] = {"reasoning_content": Optional[str], "reasoning_details": list[ReasoningDetail]}
PAIR: dict[str, Any] = {"input_tokens": int, "output_tokens": int, "cost": Cost}


class OpenAIError(BaseModel):
    """An error answer of OpenAI's API, whose SDK has a type for the object alone."""

    error: ErrorObject


class ModelList(BaseModel):
    """A page of models, as the SDK's paginator reads it."""

    object: Literal["list"]
    data: list[openai.Model]
    ok: bool
    limit: int
    offset: int
    total: int
    models: list[dict[str, object]]


class MessagesModelList(BaseModel):
    data: list[messages.ModelInfo]
    first_id: Optional[str]
    last_id: Optional[str]
    has_more: bool


class MessagesError(BaseModel):
    """Anthropic's error answer, with the one type that its reference documents and the SDK's union leaves out."""

    class TooLarge(BaseModel):
        type: Literal["request_too_large"]
        message: str

    type: Literal["error"]
    error: Union[MessagesErrorObject, TooLarge]
    request_id: Optional[str]


class MessagesPing(BaseModel):
    type: Literal["ping"]


ADDITIONS: Additions = {
    chat.ChatCompletion: ANSWER,
    chat.ChatCompletionChunk: ANSWER,
    chat.ChatCompletionMessage: REASONING,
    # OpenAI's own search models stream annotations so; the SDK has them in whole messages only.
    ChoiceDelta: {**REASONING, "annotations": list[Annotation]},
    CompletionUsage: PAIR,
    messages.Message: ANSWER,
    messages.RawMessageDeltaEvent: ANSWER,
    messages.Usage: {"cost": Cost},
    messages.MessageDeltaUsage: {"cost": Cost},
    openai.CreateEmbeddingResponse: ANSWER,
    EmbeddingUsage: PAIR,
    openai.ModerationCreateResponse: {**ANSWER, "usage": Requests},
    openai.ImagesResponse: ANSWER,
    ImagesUsage: {"cost": Cost},
    OpenAIError: ERROR,
    MessagesError: ERROR,
    **{kind: {"code": str, "param": str} for kind in (*get_args(get_args(MessagesErrorObject)[0]), MessagesError.TooLarge)},
    openai.Model: {
        "organisation": str,
        "aliases": list[str],
        "endpoints": list[str],
        "input_types": list[str],
        "output_types": list[str],
        "providers": list[dict[str, object]],
    },
}

# --- what goes where

SAMPLING = {"temperature": float, "top_k": int, "top_p": float}
"""What Messages still takes under `anthropic-version: 2023-06-01`; the SDK's types are those of 2026-10-21."""

REQUESTS = {
    "/v1/chat/completions": Strict(CompletionCreateParams),
    "/v1/messages": Strict(MessageCreateParams),
    "/v1/embeddings": Strict(EmbeddingCreateParams),
    "/v1/moderations": Strict(ModerationCreateParams),
    "/v1/images/generations": Strict(ImageGenerateParams),
}
CHAT_REPLAYED = Strict(CompletionCreateParams, {ChatCompletionAssistantMessageParam: REASONING})
"""What servers take that extend OpenAI's API by a model's own reasoning, sent back."""
MESSAGES_2023 = Strict(MessageCreateParams, dict.fromkeys((MessageCreateParamsNonStreaming, MessageCreateParamsStreaming), SAMPLING))
ANSWERS = {
    "/v1/chat/completions": Strict(chat.ChatCompletion, ADDITIONS),
    "/v1/messages": Strict(messages.Message, ADDITIONS),
    "/v1/embeddings": Strict(openai.CreateEmbeddingResponse, ADDITIONS),
    "/v1/moderations": Strict(openai.ModerationCreateResponse, ADDITIONS),
    "/v1/images/generations": Strict(openai.ImagesResponse, ADDITIONS),
    "/v1/images/embeddings": Strict(openai.ImagesResponse, ADDITIONS),
}
CHUNK = Strict(chat.ChatCompletionChunk, ADDITIONS)
EVENT = Strict(messages.RawMessageStreamEvent, ADDITIONS)
PING = Strict(MessagesPing)
OPENAI_ERROR = Strict(OpenAIError, ADDITIONS)
MESSAGES_ERROR = Strict(MessagesError, ADDITIONS)
MODELS = Strict(ModelList, ADDITIONS)
MODEL = Strict(openai.Model, ADDITIONS)
MESSAGES_MODELS = Strict(MessagesModelList, ADDITIONS)
MESSAGES_MODEL = Strict(messages.ModelInfo, ADDITIONS)

GENERATION_ID = re.compile(r"G-[0-9A-HJKMNP-TV-Z]{26}")


@dataclass
class Exchange:
    """One request and its answer, as they were on the wire."""

    method: str
    path: str
    request_headers: dict[str, str]
    request_body: bytes
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_messages(self) -> bool:
        return self.path.startswith("/v1/messages") or "anthropic-version" in self.request_headers

    def events(self) -> list[tuple[str | None, str]]:
        """The events of a stream: name and data. The gateway writes LF only, and one line of data."""
        return sse(self.body)


def sse(body: bytes) -> list[tuple[str | None, str]]:
    events = []
    for block in body.decode().split("\n\n"):
        fields = [line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":")]
        if fields:
            events.append((dict(fields).get("event"), "\n".join(value for name, value in fields if name == "data")))
    return events


def check_request(path: str, headers: dict[str, str], body: bytes) -> None:
    """A request as a provider got it."""
    if path not in REQUESTS:
        raise Refused(f"{path} is nothing that a provider offers")
    (MESSAGES_2023 if headers.get("anthropic-version") == "2023-06-01" else REQUESTS[path])(body)


def check_answer(exchange: Exchange) -> None:
    """An answer as the gateway gave it: its headers, its body, each event of it."""
    headers = exchange.headers
    assert GENERATION_ID.fullmatch(headers["x-request-id"]), headers
    if exchange.path.startswith("/v1/messages"):
        assert headers["request-id"] == headers["x-request-id"]
    if exchange.status >= 400:
        _check_error(exchange)
    elif exchange.path.startswith("/v1/models"):
        many, one = (MESSAGES_MODELS, MESSAGES_MODEL) if exchange.is_messages else (MODELS, MODEL)
        (many if exchange.path.partition("?")[0] == "/v1/models" else one)(exchange.body)
    elif exchange.method == "POST":
        assert headers["x-gateway-provider"] and headers["x-gateway-model"] and int(headers["x-gateway-attempts"]) > 0, headers
        assert "server-timing" in headers
        if headers["content-type"].startswith("text/event-stream"):
            assert headers["cache-control"] == "no-store" and headers["x-accel-buffering"] == "no"
            _check_stream(exchange)
        else:
            assert re.fullmatch(r"\d+(\.\d+)?", headers["x-gateway-cost-usd"])
            body = json.loads(exchange.body)
            if exchange.path == "/v1/embeddings" and json.loads(exchange.request_body).get("encoding_format") == "base64":
                # The SDK's type is of what it makes of this.
                for item in body["data"]:
                    item["embedding"] = list(base64.b64decode(item["embedding"], validate=True))
            ANSWERS[exchange.path](body)


def _check_error(exchange: Exchange) -> None:
    (MESSAGES_ERROR if exchange.is_messages else OPENAI_ERROR)(exchange.body)
    body = json.loads(exchange.body)
    assert body["status_code"] == exchange.status
    assert body["generation_id"] == exchange.headers["x-request-id"]
    if body["attempts"]:
        assert exchange.headers["x-should-retry"] == "false", "attempts are spent: the client must not multiply them"


def _check_stream(exchange: Exchange) -> None:
    events = exchange.events()
    ids = set()
    for at, (name, data) in enumerate(events):
        check_event(exchange.is_messages, name, data)
        is_end = data == "[DONE]" or json.loads(data).get("type") == "message_stop"
        is_error = not is_end and "error" in json.loads(data)
        if is_end or is_error:
            assert at == len(events) - 1, "nothing follows the end, and nothing after an error looks like one"
        elif not exchange.is_messages:
            ids.add(json.loads(data)["id"])
    assert ids <= {exchange.headers["x-request-id"]}


def check_event(is_messages: bool, name: str | None, data: str) -> None:
    """One event of a stream."""
    if is_messages:
        assert json.loads(data)["type"] == name
        {"error": MESSAGES_ERROR, "ping": PING}.get(name, EVENT)(data)
    else:
        assert name is None, "Chat Completions names no events"
        if data != "[DONE]":
            (OPENAI_ERROR if "error" in json.loads(data) else CHUNK)(data)
