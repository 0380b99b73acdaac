"""Answers to a schema: native where the model has it, by a forced tool elsewhere."""

import json

from pydantic import BaseModel
from scenes import ASK, model

EMULATED = "ant/claude-3-7-sonnet-20250219~json-tool"


class Weather(BaseModel):
    city: str
    celsius: int


PARIS = Weather(city="Paris", celsius=21)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "celsius": {"type": "integer"}},
    "required": ["city", "celsius"],
    "additionalProperties": False,
}


def test_chat_parses(oai, wire, provider):
    answer = oai.chat.completions.parse(model=model(provider, "json"), messages=ASK, response_format=Weather)
    assert answer.choices[0].message.parsed == PARIS
    sent = wire.sent()
    schema = sent["response_format"]["json_schema"] if provider == "oai" else sent["output_config"]["format"]
    assert set(schema["schema"]["properties"]) == {"city", "celsius"}


def test_chat_schema_streamed(oai, provider):
    with oai.chat.completions.stream(model=model(provider, "json"), messages=ASK, response_format=Weather) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == PARIS


def test_messages_parses(ant, wire, provider):
    answer = ant.messages.parse(model=model(provider, "json"), max_tokens=50, messages=ASK, output_format=Weather)
    assert answer.parsed_output == PARIS
    sent = wire.sent()
    if provider == "ant":
        assert sent["output_config"]["format"]["type"] == "json_schema"
    else:
        assert sent["response_format"]["type"] == "json_schema"
        assert sent["response_format"]["json_schema"]["name"]


def test_messages_schema(ant, wire, provider):
    config = {"format": {"type": "json_schema", "schema": SCHEMA}}
    answer = ant.messages.create(model=model(provider, "json"), max_tokens=50, messages=ASK, output_config=config)
    assert json.loads(answer.content[0].text) == PARIS.model_dump()
    sent = wire.sent()
    if provider == "ant":
        assert sent["output_config"] == config
    else:
        assert sent["response_format"]["json_schema"]["schema"] == SCHEMA


def test_emulated(oai, wire):
    """A model without schemas is made to call one tool, whose input is the answer; nobody sees a tool."""
    answer = oai.chat.completions.parse(model=EMULATED, messages=ASK, response_format=Weather)
    assert answer.choices[0].message.parsed == PARIS
    assert answer.choices[0].finish_reason == "stop"
    assert not answer.choices[0].message.tool_calls
    sent = wire.sent()
    assert [tool["name"] for tool in sent["tools"]] == [sent["tool_choice"]["name"]]
    with oai.chat.completions.stream(model=EMULATED, messages=ASK, response_format=Weather) as stream:
        final = stream.get_final_completion().choices[0]
    assert (final.message.parsed, final.finish_reason) == (PARIS, "stop")


def test_any_object(oai, wire):
    answer = oai.chat.completions.create(model=model("oai", "json"), messages=ASK, response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content) == PARIS.model_dump()
    assert wire.sent()["response_format"] == {"type": "json_object"}
