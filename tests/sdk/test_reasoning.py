"""Reasoning: asked for, shown, and carried back with what proves it."""

import pytest
from anthropic_scenes import REDACTED, SIGNATURE
from scenes import ASK, REASONERS, model

THOUGHT, TEXT = "First I think.", "Then I speak."


def test_chat_shows_it(oai, provider):
    answer = oai.chat.completions.create(model=model(provider, "reasoning", REASONERS), messages=ASK, reasoning_effort="low")
    message = answer.choices[0].message
    assert (message.reasoning_content, message.content) == (THOUGHT, TEXT)
    chunks = oai.chat.completions.create(
        model=model(provider, "reasoning", REASONERS), messages=ASK, reasoning_effort="low", stream=True
    )
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == THOUGHT
    assert "".join(delta.content or "" for delta in deltas) == TEXT


def test_messages_shows_it(ant, provider):
    ask = {"model": model(provider, "reasoning", REASONERS), "max_tokens": 4000, "messages": ASK}
    thinking = {"type": "enabled", "budget_tokens": 2000}
    answer = ant.messages.create(**ask, thinking=thinking)
    with ant.messages.stream(**ask, thinking=thinking) as stream:
        streamed = stream.get_final_message()
    for message in (answer, streamed):
        assert message.content[0].type == "thinking"
        assert message.content[0].thinking == THOUGHT
        assert message.content[-1].text == TEXT
        if provider == "ant":
            assert message.content[0].signature == SIGNATURE
            assert (message.content[1].type, message.content[1].data) == ("redacted_thinking", REDACTED)


def test_signatures_go_back_to_who_made_them(ant, oai, wire):
    first = ant.messages.create(model=model("ant", "reasoning"), max_tokens=50, messages=ASK)
    turns = [*ASK, {"role": "assistant", "content": first.content}, *ASK]
    ant.messages.create(model=model("ant", "text"), max_tokens=50, messages=turns)
    blocks = wire.sent()["messages"][1]["content"]
    assert [block["type"] for block in blocks] == ["thinking", "redacted_thinking", "text"]
    assert (blocks[0]["signature"], blocks[1]["data"]) == (SIGNATURE, REDACTED)

    ant.messages.create(model=model("oai", "text"), max_tokens=50, messages=turns)
    assert SIGNATURE not in str(wire.sent()) and REDACTED not in str(wire.sent()), "never to anybody else"

    answer = oai.chat.completions.create(model=model("ant", "reasoning"), messages=ASK, reasoning_effort="low")
    message = answer.choices[0].message
    turn = {"role": "assistant", "content": message.content, "reasoning_details": message.reasoning_details}
    oai.chat.completions.create(model=model("ant", "text"), messages=[*ASK, turn, *ASK], reasoning_effort="low")
    blocks = wire.sent()["messages"][1]["content"]
    assert [block["type"] for block in blocks] == ["thinking", "redacted_thinking", "text"]
    assert (blocks[0]["thinking"], blocks[0]["signature"], blocks[1]["data"]) == (THOUGHT, SIGNATURE, REDACTED)


def test_signature_beside_a_tool(ant, wire):
    tools = [{"name": "weather", "input_schema": {"type": "object"}}]
    first = ant.messages.create(model=model("ant", "reasoning-tool"), max_tokens=50, messages=ASK, tools=tools)
    result = {"type": "tool_result", "tool_use_id": first.content[1].id, "content": "sunny"}
    turns = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    ant.messages.create(model=model("ant", "text"), max_tokens=50, messages=turns, tools=tools)
    assert wire.sent()["messages"][1]["content"][0]["signature"] == SIGNATURE


def test_effort(oai, wire):
    """A level, a budget, or a level beside thinking as the model sees fit: whatever the model takes."""
    oai.chat.completions.create(model=model("oai", "text", REASONERS), messages=ASK, reasoning_effort="high")
    assert wire.sent()["reasoning_effort"] == "high"
    oai.chat.completions.create(model="ant/claude-sonnet-4-5~text", messages=ASK, reasoning_effort="high")
    thinking = wire.sent()["thinking"]
    assert thinking["type"] == "enabled" and 1024 <= thinking["budget_tokens"] < wire.attempts()[-1].json["max_tokens"]
    oai.chat.completions.create(model="ant/claude-opus-4-8~text", messages=ASK, reasoning_effort="high")
    sent = wire.sent()
    assert sent["thinking"]["type"] == "adaptive"
    assert sent["output_config"]["effort"] == "high"


@pytest.mark.parametrize(("thinking", "efforts"), [({"type": "disabled"}, (None, "none", "minimal")), ({"type": "enabled", "budget_tokens": 2000}, ("low", "medium", "high"))])
def test_budget_becomes_a_level(ant, wire, thinking, efforts):
    ant.messages.create(model=model("oai", "text", REASONERS), max_tokens=4000, messages=ASK, thinking=thinking)
    assert wire.sent().get("reasoning_effort") in efforts
