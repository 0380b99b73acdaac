"""What goes wrong raises the SDK's own class, with the contract's status, once."""

import anthropic
import openai
import pytest
from scenes import ASK, fresh, model

# What a provider answers, and what the caller hears. 401, 402 and 403 refuse the gateway's credential, not the caller's.
OPENAI = {
    400: (400, openai.BadRequestError),
    401: (502, openai.InternalServerError),
    402: (502, openai.InternalServerError),
    403: (502, openai.InternalServerError),
    404: (404, openai.NotFoundError),
    408: (504, openai.InternalServerError),
    409: (409, openai.ConflictError),
    413: (413, openai.APIStatusError),
    422: (422, openai.UnprocessableEntityError),
    429: (429, openai.RateLimitError),
    500: (502, openai.InternalServerError),
    503: (503, openai.InternalServerError),
}
MESSAGES = {
    400: (400, anthropic.BadRequestError),
    401: (502, anthropic.InternalServerError),
    402: (502, anthropic.InternalServerError),
    403: (502, anthropic.InternalServerError),
    404: (404, anthropic.NotFoundError),
    408: (504, anthropic.GatewayTimeoutError),
    409: (409, anthropic.ConflictError),
    413: (413, anthropic.ContentTooLargeError),
    422: (422, anthropic.UnprocessableEntityError),
    429: (429, anthropic.RateLimitError),
    500: (502, anthropic.InternalServerError),
    503: (529, anthropic.OverloadedError),
}
OF_THE_CALLER = (400, 404, 409, 413, 422)
"""What a provider says of the request itself keeps its words; all else is told as the gateway's own trouble."""


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", OPENAI)
def test_chat(oai, wire, provider, status, streamed):
    expected, raised = OPENAI[status]
    with pytest.raises(openai.APIStatusError) as refused:
        oai.chat.completions.create(model=fresh(provider, str(status)), messages=ASK, stream=streamed)
    error = refused.value
    assert (error.status_code, type(error)) == (expected, raised)
    assert ("the provider says" in error.message) == (status in OF_THE_CALLER), error.message
    assert len(wire.attempts()) == (1 if status in OF_THE_CALLER or status in (401, 402, 403) else error_attempts(error))


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", MESSAGES)
def test_messages(ant, wire, provider, status, streamed):
    expected, raised = MESSAGES[status]
    with pytest.raises(anthropic.APIStatusError) as refused:
        ant.messages.create(model=fresh(provider, str(status)), max_tokens=50, messages=ASK, stream=streamed)
    error = refused.value
    assert (error.status_code, type(error)) == (expected, raised)
    assert ("the provider says" in error.message) == (status in OF_THE_CALLER), error.message
    assert error.request_id.startswith("G-")
    assert len(wire.attempts()) == (1 if status in OF_THE_CALLER or status in (401, 402, 403) else error_attempts(error))


def error_attempts(error):
    """The attempts that an error tells of: the gateway's, which the SDK, told not to, did not multiply."""
    body = error.response.json()
    assert 1 <= len(body["attempts"]) <= 2
    return len(body["attempts"])


def test_wait_is_told(oai, ant, provider):
    with pytest.raises(openai.RateLimitError) as refused:
        oai.chat.completions.create(model=fresh(provider, "429"), messages=ASK)
    assert int(refused.value.response.headers["retry-after"]) in range(50, 61)
    with pytest.raises(anthropic.RateLimitError) as refused:
        ant.messages.create(model=fresh(provider, "429"), max_tokens=50, messages=ASK)
    assert int(refused.value.response.headers["retry-after"]) in range(50, 61)


def test_error_that_opens_a_stream(oai, ant, provider):
    """A status of 200 was already said; the caller has not heard it yet."""
    with pytest.raises(openai.InternalServerError) as refused:
        oai.chat.completions.create(model=fresh(provider, "error-first"), messages=ASK, stream=True)
    assert refused.value.status_code == {"oai": 502, "ant": 503}[provider]
    with pytest.raises(anthropic.InternalServerError) as refused:
        ant.messages.create(model=fresh(provider, "error-first"), max_tokens=50, messages=ASK, stream=True)
    assert refused.value.status_code == {"oai": 502, "ant": 529}[provider]


@pytest.mark.parametrize("spare", ["spare/openai", "spare/anthropic"])
def test_error_that_opens_a_stream_fails_over(oai, ant, wire, spare):
    raw = oai.chat.completions.with_raw_response.create(model=spare, messages=ASK, stream=True)
    assert raw.headers["x-gateway-attempts"] == "2"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse()) == "Hello, wörld."
    with ant.messages.stream(model=spare, max_tokens=50, messages=ASK) as stream:
        assert stream.get_final_text() == "Hello, wörld."
    assert len(wire.attempts()) == 4


@pytest.mark.parametrize("scene", ["error-later", "cut"])
def test_error_after_content(oai, ant, provider, scene):
    """The stream raises: it neither ends as if it were whole, nor hangs."""
    heard = ""
    with pytest.raises(openai.APIError):
        for chunk in oai.chat.completions.create(model=fresh(provider, scene), messages=ASK, stream=True):
            heard += chunk.choices[0].delta.content or ""
            assert chunk.choices[0].finish_reason is None
    assert heard and "Half an ans".startswith(heard)
    heard = ""
    with pytest.raises(anthropic.APIStatusError):
        for event in ant.messages.create(model=fresh(provider, scene), max_tokens=50, messages=ASK, stream=True):
            assert event.type not in ("message_delta", "message_stop")
            if event.type == "content_block_delta":
                heard += event.delta.text
    assert heard and "Half an ans".startswith(heard)


def test_keys(house, wire):
    for key, code in [
        ("nonsense", "invalid_key_format"),
        ("aistats_v1_k_kidAAAA00001_wrongBBBB1111secretBBBB1111secretBBBB11", "invalid_key"),
        ("aistats_v1_k_kidZZZZ99999_secretBBBB1111secretBBBB1111secretBBBB11", "invalid_key"),
    ]:
        with pytest.raises(openai.AuthenticationError) as refused:
            wire.openai().with_options(api_key=key).chat.completions.create(model="demo/echo", messages=ASK)
        assert refused.value.code == code
        with pytest.raises(anthropic.AuthenticationError) as refused:
            wire.anthropic().with_options(api_key=key).messages.create(model="demo/echo", max_tokens=5, messages=ASK)
        assert refused.value.type == "authentication_error"
    assert wire.attempts() == []


def test_unknown_model(oai, ant):
    with pytest.raises(openai.NotFoundError) as refused:
        oai.chat.completions.create(model="nobody/nothing", messages=ASK)
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
    with pytest.raises(anthropic.NotFoundError) as refused:
        ant.messages.create(model="nobody/nothing", max_tokens=5, messages=ASK)
    assert refused.value.type == "not_found_error"


def test_strict_fidelity(oai, ant, wire):
    """What would be lost is named, before anything is bought."""
    with pytest.raises(openai.BadRequestError) as refused:
        headers = {"x-gateway-fidelity": "strict"}
        oai.chat.completions.create(model=model("ant", "text"), messages=ASK, seed=7, extra_headers=headers)
    assert ["seed"] in [detail["path"] for detail in refused.value.response.json()["details"]]
    assert wire.attempts() == []


def test_too_large(oai, ant):
    ask = [{"role": "user", "content": "x" * (33 << 20)}]
    with pytest.raises(openai.APIStatusError) as refused:
        oai.chat.completions.create(model="demo/echo", messages=ask)
    assert refused.value.status_code == 413
    with pytest.raises(anthropic.ContentTooLargeError):
        ant.messages.create(model="demo/echo", max_tokens=5, messages=ask)


def test_not_built_yet(oai):
    with pytest.raises(openai.InternalServerError) as refused:
        oai.responses.create(model="demo/echo", input="Hello?")
    assert refused.value.status_code == 501
