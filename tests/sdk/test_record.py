"""What an answer says of itself, and the record that says the same."""

import pytest
from scenes import ASK, model

NANOS = 200 * 3000 + 800 * 300 + 100 * 15000
"""200 input at 3.00, 800 cached at 0.30 and 100 output at 15.00 USD per million."""


@pytest.fixture
def record(oai):
    return lambda id_: oai.get("/generations", cast_to=object, options={"params": {"id": id_}})


def test_chat(oai, provider, record):
    raw = oai.chat.completions.with_raw_response.create(model=model(provider, "text"), messages=ASK)
    answer = raw.parse()
    assert raw.headers["x-request-id"] == answer.id
    assert raw.headers["x-gateway-provider"] == answer.provider == provider
    assert raw.headers["x-gateway-model"] == answer.model
    assert raw.headers["x-gateway-attempts"] == "1"
    assert answer.native_response_id == {"oai": "chatcmpl-mock", "ant": "msg_mock"}[provider]
    usage = answer.usage
    assert (usage.prompt_tokens, usage.input_tokens) == (1000, 1000)
    assert (usage.completion_tokens, usage.output_tokens) == (100, 100)
    assert usage.cost["total_nanos"] == NANOS
    assert usage.cost["total_usd"] == raw.headers["x-gateway-cost-usd"] == "0.00234"
    kept = record(answer.id)
    assert kept["cost_nanos"] == NANOS
    assert (kept["request_id"], kept["provider"], kept["model_requested"]) == (answer.id, provider, model(provider, "text"))
    assert (kept["outcome"], kept["success"], kept["stream"], kept["status_code"]) == ("complete", True, False, 200)
    assert (kept["usage"]["input"], kept["usage"]["cache_read"], kept["usage"]["output"]) == (200, 800, 100)
    assert kept["usage"]["source"] == "reported"
    assert len(kept["attempts"]) == 1
    assert kept["native_response_id"] == answer.native_response_id


def test_messages(ant, provider, record):
    raw = ant.messages.with_raw_response.create(model=model(provider, "text"), max_tokens=50, messages=ASK)
    answer = raw.parse()
    assert raw.headers["x-gateway-provider"] == answer.provider == provider
    assert answer.usage.cost["total_nanos"] == NANOS
    kept = record(raw.headers["request-id"])
    assert (kept["cost_nanos"], kept["dialect"]) == (NANOS, "anthropic-messages")


def test_streams(oai, ant, provider, record):
    options = {"include_usage": True}
    raw = oai.chat.completions.with_raw_response.create(
        model=model(provider, "text"), messages=ASK, stream=True, stream_options=options
    )
    *_, last = raw.parse()
    assert last.usage.cost["total_nanos"] == NANOS
    kept = record(raw.headers["x-request-id"])
    assert (kept["cost_nanos"], kept["stream"], kept["outcome"]) == (NANOS, True, "complete")

    stream = ant.messages.with_raw_response.create(model=model(provider, "text"), max_tokens=50, messages=ASK, stream=True)
    events = list(stream.parse())
    assert events[-2].usage.cost["total_nanos"] == NANOS
    assert record(stream.headers["request-id"])["cost_nanos"] == NANOS


def test_failures(oai, provider, record):
    with pytest.raises(Exception) as refused:
        oai.chat.completions.create(model=model(provider, "401"), messages=ASK)
    kept = record(refused.value.response.headers["x-request-id"])
    assert (kept["outcome"], kept["success"], kept["status_code"], kept["cost_nanos"]) == ("failed", False, 502, 0)
    raw = oai.chat.completions.with_raw_response.create(model=model(provider, "cut"), messages=ASK, stream=True)
    with pytest.raises(Exception):
        list(raw.parse())
    assert record(raw.headers["x-request-id"])["outcome"] in ("truncated", "failed")


def test_usage_and_meta(oai, ant, provider):
    """The gateway's own members are for the gateway: `usage` and `meta` do not go up."""
    plain = oai.chat.completions.create(model=model(provider, "text"), messages=ASK, extra_body={"usage": False})
    assert not hasattr(plain.usage, "cost") and not hasattr(plain.usage, "input_tokens")
    rich = oai.chat.completions.create(model=model(provider, "text"), messages=ASK, extra_body={"meta": True})
    assert rich.meta["request_id"] == rich.id
    assert (rich.meta["provider"], rich.meta["attempts"]) == (provider, 1)
    assert rich.meta["latency_ms"] >= rich.meta["gateway_ms"] >= 0
    message = ant.messages.create(
        model=model(provider, "text"), max_tokens=50, messages=ASK, extra_body={"usage": False, "meta": True}
    )
    assert not hasattr(message.usage, "cost")
    assert message.meta["provider"] == provider
    chunks = list(oai.chat.completions.create(model=model(provider, "text"), messages=ASK, stream=True, extra_body={"usage": True}))
    assert chunks[-1].usage.cost["total_nanos"] == NANOS and not hasattr(chunks[-1], "meta")


def test_meta_in_streams(oai, ant, provider):
    """Where the call's facts are known: beside the usage, or where that was not asked for, at the last choice's end."""
    asked = {"model": model(provider, "text"), "messages": ASK, "stream": True}
    *_, end = oai.chat.completions.create(**asked, extra_body={"meta": True})
    assert end.choices[0].finish_reason and end.meta["request_id"] == end.id and end.native_response_id
    *_, usage = oai.chat.completions.create(**asked, extra_body={"meta": True, "usage": True})
    assert not usage.choices and usage.meta["provider"] == provider
    events = list(ant.messages.create(**asked, max_tokens=50, extra_body={"meta": True}))
    [delta] = [event for event in events if event.type == "message_delta"]
    assert delta.meta["provider"] == provider


def test_losses(oai, record):
    answer = oai.chat.completions.create(model=model("ant", "text"), messages=ASK, seed=7)
    assert "/seed" in [loss["path"] for loss in record(answer.id)["losses"]]


def test_nobody_elses(oai, record):
    with pytest.raises(Exception) as refused:
        record("G-01K00000000000000000000000")
    assert refused.value.status_code == 404


def test_health(oai):
    assert oai.get("/healthz", cast_to=object)["status"] == "ok"
    assert oai.get("/health", cast_to=object)
