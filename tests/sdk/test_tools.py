"""Tools: defined, chosen, called (in parallel too), answered in a second turn."""

import json

import pytest
from scenes import ASK, model

CHAT_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Tells the {name}.",
            "parameters": {"type": "object", "properties": {member: {"type": "string"}}, "required": [member]},
        },
    }
    for name, member in (("weather", "city"), ("clock", "zone"))
]
TOOLS = [
    {"name": it["function"]["name"], "description": it["function"]["description"], "input_schema": it["function"]["parameters"]}
    for it in CHAT_TOOLS
]
CALLS = [("weather", {"city": "Paris"}), ("clock", {"zone": "CET"})]


def called(message):
    return [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []]


def used(message):
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


def sent_tools(sent):
    """Name and schema of each tool, whatever the dialect."""
    return [(it.get("function", it)["name"], it.get("input_schema") or it["function"]["parameters"]) for it in sent["tools"]]


def test_chat_calls(oai, wire, provider):
    answer = oai.chat.completions.create(model=model(provider, "tools"), messages=ASK, tools=CHAT_TOOLS)
    assert answer.choices[0].message.content == "Let me look."
    assert answer.choices[0].finish_reason == "tool_calls"
    assert called(answer.choices[0].message) == CALLS
    assert sent_tools(wire.sent()) == [(tool["name"], tool["input_schema"]) for tool in TOOLS]


def test_chat_calls_streamed(oai, provider):
    with oai.chat.completions.stream(model=model(provider, "tools"), messages=ASK, tools=CHAT_TOOLS) as stream:
        deltas = [call for event in stream if event.type == "chunk" for choice in event.chunk.choices for call in choice.delta.tool_calls or []]
        answer = stream.get_final_completion()
    assert called(answer.choices[0].message) == CALLS
    assert sorted({call.index for call in deltas}) == [0, 1], "indexes count the calls"
    for index in (0, 1):
        first, *rest = [call for call in deltas if call.index == index]
        assert first.id and first.function.name and first.type == "function"
        assert all(call.id is None and call.function.name is None for call in rest), "told once"


def test_messages_calls(ant, wire, provider):
    answer = ant.messages.create(model=model(provider, "tools"), max_tokens=50, messages=ASK, tools=TOOLS)
    assert answer.stop_reason == "tool_use"
    assert used(answer) == CALLS
    assert answer.content[0].text == "Let me look."
    assert sent_tools(wire.sent()) == [(tool["name"], tool["input_schema"]) for tool in TOOLS]


def test_messages_calls_streamed(ant, provider):
    with ant.messages.stream(model=model(provider, "tools"), max_tokens=50, messages=ASK, tools=TOOLS) as stream:
        answer = stream.get_final_message()
    assert answer.stop_reason == "tool_use"
    assert used(answer) == CALLS


def test_chat_results(oai, wire, provider):
    """The calls of one turn, sent back as the SDK gave them, and their results."""
    first = oai.chat.completions.create(model=model(provider, "tools"), messages=ASK, tools=CHAT_TOOLS).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"result {at}"} for at, call in enumerate(first.tool_calls)]
    turn = {"role": "assistant", "content": first.content, "tool_calls": [call.model_dump() for call in first.tool_calls]}
    turns = [*ASK, turn, *results, {"role": "user", "content": "And?"}]
    oai.chat.completions.create(model=model(provider, "text"), messages=turns, tools=CHAT_TOOLS)
    sent = wire.sent()["messages"]
    if provider == "oai":
        assert sent == turns
    else:
        assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
        assert [block["type"] for block in sent[1]["content"]] == ["text", "tool_use", "tool_use"]
        assert [block["type"] for block in sent[2]["content"]] == ["tool_result", "tool_result", "text"]
        assert [block["tool_use_id"] for block in sent[2]["content"][:2]] == [block["id"] for block in sent[1]["content"][1:]]


def test_messages_results(ant, wire, provider):
    first = ant.messages.create(model=model(provider, "tools"), max_tokens=50, messages=ASK, tools=TOOLS)
    ids = [block.id for block in first.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": ids[0], "content": [{"type": "text", "text": "sunny"}]},
        {"type": "tool_result", "tool_use_id": ids[1], "content": "no clock", "is_error": True},
    ]
    turns = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    ant.messages.create(model=model(provider, "text"), max_tokens=50, messages=turns, tools=TOOLS)
    sent = wire.sent()["messages"]
    if provider == "ant":
        assert sent[2]["content"] == results
    else:
        assert [turn["role"] for turn in sent] == ["user", "assistant", "tool", "tool"]
        assert [turn["tool_call_id"] for turn in sent[2:]] == [call["id"] for call in sent[1]["tool_calls"]]
        assert "no clock" in json.dumps(sent[3]["content"])


CHOICES = [
    ("auto", {"type": "auto"}),
    ("required", {"type": "any"}),
    ("none", {"type": "none"}),
    ({"type": "function", "function": {"name": "clock"}}, {"type": "tool", "name": "clock"}),
]


@pytest.mark.parametrize(("chat", "messages"), CHOICES)
def test_choice(oai, ant, wire, provider, chat, messages):
    expected = chat if provider == "oai" else messages
    oai.chat.completions.create(model=model(provider, "tool"), messages=ASK, tools=CHAT_TOOLS, tool_choice=chat)
    assert wire.sent().get("tool_choice", "absent") == expected
    ant.messages.create(model=model(provider, "tool"), max_tokens=50, messages=ASK, tools=TOOLS, tool_choice=messages)
    assert wire.sent().get("tool_choice", "absent") == expected


def test_one_at_a_time(oai, ant, wire, provider):
    oai.chat.completions.create(model=model(provider, "tool"), messages=ASK, tools=CHAT_TOOLS, parallel_tool_calls=False)
    once = wire.sent()
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    ant.messages.create(model=model(provider, "tool"), max_tokens=50, messages=ASK, tools=TOOLS, tool_choice=choice)
    twice = wire.sent()
    for sent in (once, twice):
        if provider == "oai":
            assert sent["parallel_tool_calls"] is False
        else:
            assert sent["tool_choice"] == choice
