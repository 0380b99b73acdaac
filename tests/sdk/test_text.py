"""Words in, words out: whole, streamed, asynchronous; through the same dialect and across."""

import asyncio
import json

import anthropic
import openai
import pytest
from conftest import KEY
from scenes import ASK, model

TEXT = "Hello, wörld."


def test_chat_whole(oai, provider):
    answer = oai.chat.completions.create(model=model(provider, "text"), messages=ASK)
    assert answer.id.startswith("G-")
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (1000, 100, 1100)
    assert answer.usage.prompt_tokens_details.cached_tokens == 800
    assert answer.model.endswith("~text")


def test_chat_streamed(oai, provider):
    chunks = list(oai.chat.completions.create(model=model(provider, "text"), messages=ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert [chunk.choices[0].delta.role for chunk in chunks].count("assistant") == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks)


def test_chat_streamed_with_usage(oai, provider):
    options = {"include_usage": True}
    chunks = list(oai.chat.completions.create(model=model(provider, "text"), messages=ASK, stream=True, stream_options=options))
    *content, last = chunks
    assert all(chunk.usage is None and chunk.choices for chunk in content)
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (1000, 100)
    assert last.provider == provider


def test_chat_helper_accumulates(oai, provider):
    with oai.chat.completions.stream(model=model(provider, "text"), messages=ASK) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == TEXT


def test_messages_whole(ant, provider):
    answer = ant.messages.create(model=model(provider, "text"), max_tokens=50, messages=ASK)
    assert answer.content[0].text == TEXT
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (200, 800, 100)
    assert answer._request_id.startswith("G-")


def test_messages_streamed(ant, provider):
    events = list(ant.messages.create(model=model(provider, "text"), max_tokens=50, messages=ASK, stream=True))
    assert [events[0].type, events[-1].type] == ["message_start", "message_stop"]
    assert [event.type for event in events].count("message_delta") == 1
    assert "".join(event.delta.text for event in events if event.type == "content_block_delta") == TEXT
    assert events[-2].usage.output_tokens == 100


def test_messages_helper_accumulates(ant, provider):
    with ant.messages.stream(model=model(provider, "text"), max_tokens=50, messages=ASK) as stream:
        assert "".join(stream.text_stream) == TEXT
        message = stream.get_final_message()
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 100


def test_demo(oai, ant):
    assert "Hello?" in oai.chat.completions.create(model="demo/echo", messages=ASK).choices[0].message.content
    chunks = oai.chat.completions.create(model="demo/echo", messages=ASK, stream=True)
    assert "Hello?" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    with ant.messages.stream(model="demo/echo", max_tokens=50, messages=ASK) as stream:
        assert "Hello?" in stream.get_final_text()


def test_async_chat(house, provider):
    async def run() -> str:
        async with openai.AsyncOpenAI(base_url=house.url + "/v1", api_key=KEY) as client:
            stream = await client.chat.completions.create(model=model(provider, "text"), messages=ASK, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(run()) == TEXT


def test_async_messages(house, provider):
    async def run() -> str:
        async with anthropic.AsyncAnthropic(base_url=house.url, api_key=KEY) as client:
            async with client.messages.stream(model=model(provider, "text"), max_tokens=50, messages=ASK) as stream:
                return await stream.get_final_text()

    assert asyncio.run(run()) == TEXT


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_each_version_of_messages(ant, wire, provider, version):
    headers = {"anthropic-version": version, "anthropic-beta": "some-beta-2026-01-01"}
    answer = ant.messages.create(model=model(provider, "text"), max_tokens=50, messages=ASK, extra_headers=headers)
    assert answer.content[0].text == TEXT
    received = wire.attempts()[-1]
    if provider == "ant":
        assert received.headers["anthropic-version"] == version
        assert received.headers["anthropic-beta"] == "some-beta-2026-01-01"
    else:
        assert not [name for name in received.headers if name.startswith("anthropic")]


def test_unknown_members_travel_on(oai, ant, wire):
    extra = {"future_member": {"b": 1, "a": [10.5, None]}}
    oai.chat.completions.create(model=model("oai", "text"), messages=ASK, extra_body=extra)
    assert wire.unchecked() == {"model": "gpt-4.1~text", "messages": ASK, **extra}
    ant.messages.create(model=model("ant", "text"), max_tokens=50, messages=ASK, extra_body=extra)
    assert wire.unchecked() == {"model": "claude-sonnet-4-5~text", "max_tokens": 50, "messages": ASK, **extra}


def test_system_and_developer(oai, ant, wire, provider):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Be kind."}, *ASK]
    oai.chat.completions.create(model=model(provider, "text"), messages=turns)
    sent = wire.sent()
    if provider == "oai":
        assert sent["messages"] == turns
    else:
        assert [block["text"] for block in sent["system"]] == ["Be brief.", "Be kind."]
        assert [turn["role"] for turn in sent["messages"]] == ["user"]
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    ant.messages.create(model=model(provider, "text"), max_tokens=50, system=system, messages=ASK)
    sent = wire.sent()
    if provider == "ant":
        assert sent["system"] == system
    else:
        assert sent["messages"][0]["role"] in ("system", "developer")
        assert "Be brief." in json.dumps(sent["messages"][0])


def test_length(oai, ant, wire, provider):
    answer = oai.chat.completions.create(model=model(provider, "length"), messages=ASK, max_completion_tokens=7)
    assert answer.choices[0].finish_reason == "length"
    sent = wire.sent()
    assert sent.get("max_completion_tokens", sent.get("max_tokens")) == 7
    answer = ant.messages.create(model=model(provider, "length"), max_tokens=7, messages=ASK)
    assert answer.stop_reason == "max_tokens"
    sent = wire.sent()
    assert sent.get("max_completion_tokens", sent.get("max_tokens")) == 7


def test_stop(oai, ant, wire, provider):
    oai.chat.completions.create(model=model(provider, "text"), messages=ASK, stop="END")
    assert wire.sent()["stop" if provider == "oai" else "stop_sequences"] in ("END", ["END"])
    ant.messages.create(model=model(provider, "text"), max_tokens=50, messages=ASK, stop_sequences=["END", "FIN"])
    assert wire.sent()["stop" if provider == "oai" else "stop_sequences"] == ["END", "FIN"]


def test_stop_sequence_is_told(ant):
    answer = ant.messages.create(model=model("ant", "stop"), max_tokens=50, messages=ASK, stop_sequences=["END"])
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "END")


def test_choices(oai, wire):
    answer = oai.chat.completions.create(model=model("oai", "choices"), messages=ASK, n=2)
    assert [choice.message.content for choice in answer.choices] == ["One.", "Two."]
    texts = ["", ""]
    for chunk in oai.chat.completions.create(model=model("oai", "choices"), messages=ASK, n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == ["One.", "Two."]


def test_choices_where_there_is_one(oai, wire):
    with pytest.raises(openai.BadRequestError) as refused:
        oai.chat.completions.create(model=model("ant", "text"), messages=ASK, n=2)
    assert refused.value.param == "n"
    assert wire.attempts() == []


def test_logprobs(oai):
    answer = oai.chat.completions.create(model=model("oai", "logprobs"), messages=ASK, logprobs=True, top_logprobs=1)
    assert answer.choices[0].logprobs.content[0].token == "Hi"
    chunks = oai.chat.completions.create(model=model("oai", "logprobs"), messages=ASK, logprobs=True, top_logprobs=1, stream=True)
    assert [chunk.choices[0].logprobs.content[0].token for chunk in chunks if chunk.choices[0].logprobs] == ["Hi"]


def test_sampling_that_is_not_taken_is_told(oai):
    answer = oai.chat.completions.with_raw_response.create(
        model=model("ant", "text"), messages=ASK, seed=7, frequency_penalty=0.5, logit_bias={"1": 2}, temperature=1.6
    )
    losses = answer.headers["x-gateway-loss"]
    for path in ("/seed", "/frequency_penalty", "/logit_bias", "/temperature"):
        assert path in losses


def test_refusal(oai, ant, provider):
    answer = oai.chat.completions.create(model=model(provider, "refusal"), messages=ASK)
    message = answer.choices[0].message
    assert "I won't do that." in (message.refusal or "") + (message.content or "")
    assert answer.choices[0].finish_reason == ("stop" if provider == "oai" else "content_filter")
    message = ant.messages.create(model=model(provider, "refusal"), max_tokens=50, messages=ASK)
    assert message.stop_reason == "refusal"
    assert message.content[0].text == "I won't do that."


def test_filtered(oai, ant):
    assert oai.chat.completions.create(model=model("oai", "filtered"), messages=ASK).choices[0].finish_reason == "content_filter"
    assert ant.messages.create(model=model("oai", "filtered"), max_tokens=50, messages=ASK).stop_reason == "refusal"


def test_citations(oai, ant, provider):
    answer = oai.chat.completions.create(model=model(provider, "citations"), messages=ASK)
    assert answer.choices[0].message.content == "The sky is blue."
    if provider == "oai":
        assert answer.choices[0].message.annotations[0].url_citation.url == "https://sky.example/"
    message = ant.messages.create(model=model(provider, "citations"), max_tokens=50, messages=ASK)
    assert message.content[0].text == "The sky is blue."
    if provider == "ant":
        assert message.content[0].citations[0].cited_text == "The sky is blue."
        with ant.messages.stream(model=model(provider, "citations"), max_tokens=50, messages=ASK) as stream:
            assert stream.get_final_message().content[0].citations[0].cited_text == "The sky is blue."
