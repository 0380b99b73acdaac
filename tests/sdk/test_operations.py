"""Embeddings, moderations, images and models."""

import anthropic
import openai
import pytest
from openai_scenes import PIXEL

EMBED, MODERATE, PAINT = "oai/text-embedding-3-small~embed", "oai/omni-moderation-latest~moderate", "oai/gpt-image-1~paint"
NUMBERS = [0.25, -0.5, 1.0]


def test_embeddings(oai, wire):
    answer = oai.embeddings.create(model=EMBED, input=["a", "b"])
    assert [item.embedding for item in answer.data] == [NUMBERS, NUMBERS]
    assert wire.sent()["encoding_format"] == "base64", "the SDK's own default, which it decodes"
    answer = oai.embeddings.create(model=EMBED, input="a", encoding_format="float", dimensions=3)
    assert answer.data[0].embedding == NUMBERS
    assert wire.sent() == {"model": "text-embedding-3-small~embed", "input": "a", "encoding_format": "float", "dimensions": 3}
    assert (answer.provider, answer.usage.prompt_tokens) == ("oai", 8)
    assert answer.usage.cost["total_nanos"] == 8 * 3000


def test_moderations(oai, wire):
    answer = oai.moderations.create(model=MODERATE, input=["a", "b"])
    assert answer.results[0].flagged and answer.results[0].categories.violence
    assert answer.provider == "oai"
    assert answer.usage["requests"] == 1 and answer.usage["cost"]["lines"][0]["meter"] == "requests"
    image = {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}}
    oai.moderations.create(model=MODERATE, input=[{"type": "text", "text": "a"}, image])
    assert wire.sent()["input"][1] == image


def test_images(oai, wire):
    answer = oai.images.generate(model=PAINT, prompt="a cat", n=2, size="1024x1024")
    assert [image.b64_json for image in answer.data] == [PIXEL, PIXEL]
    assert answer.provider == "oai"
    assert wire.sent() == {"model": "gpt-image-1~paint", "prompt": "a cat", "n": 2, "size": "1024x1024"}


def test_images_by_their_other_path(oai):
    answer = oai.post("/images/embeddings", body={"model": PAINT, "prompt": "a cat"}, cast_to=openai.types.ImagesResponse)
    assert answer.data[0].b64_json == PIXEL


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_errors(oai, status):
    asks = (
        lambda name: oai.embeddings.create(model=f"oai/text-embedding-3-small~{name}", input="a"),
        lambda name: oai.moderations.create(model=f"oai/omni-moderation-latest~{name}", input="a"),
        lambda name: oai.images.generate(model=f"oai/gpt-image-1~{name}", prompt="a"),
    )
    expected = {400: openai.BadRequestError, 401: openai.InternalServerError, 429: openai.RateLimitError, 500: openai.InternalServerError}
    for ask in asks:
        with pytest.raises(expected[status]):
            ask(str(status))


def test_embeddings_where_there_are_none(oai):
    with pytest.raises(openai.BadRequestError):
        oai.embeddings.create(model="ant/claude-sonnet-4-5~embed", input="a")


def test_models(oai, ant):
    assert "demo/echo" in [model.id for model in oai.models.list()]
    assert oai.models.retrieve("demo/echo").object == "model"
    assert "demo/echo" in [model.id for model in ant.models.list()]
    assert ant.models.retrieve("demo/echo").type == "model"
    everything = [model.id for model in oai.models.list()]
    assert len(everything) > 1
    # The SDK follows the pages by itself, either way.
    assert [model.id for model in ant.models.list(limit=1)] == everything
    assert [model.id for model in ant.models.list(limit=1, after_id=everything[0])] == everything[1:]
    assert [model.id for model in ant.models.list(limit=1, before_id=everything[-1])] == everything[-2::-1]
    with pytest.raises(openai.NotFoundError):
        oai.models.retrieve("nobody/nothing")
    with pytest.raises(anthropic.NotFoundError):
        ant.models.retrieve("nobody/nothing")
