"""Images by URL and by value, and documents."""

from openai_scenes import PIXEL
from scenes import model

URL = "https://images.example/cat.png"
PDF = "JVBERi0xLjQKJSVFT0YK"


def turns(*parts):
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}]


def test_chat_images(oai, wire, provider):
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in (URL, f"data:image/png;base64,{PIXEL}")]
    answer = oai.chat.completions.create(model=model(provider, "text"), messages=turns(*parts))
    assert answer.choices[0].message.content
    sent = wire.sent()["messages"]
    if provider == "oai":
        assert sent == turns(*parts)
    else:
        sources = [block["source"] for block in sent[0]["content"] if block["type"] == "image"]
        assert sources == [{"type": "url", "url": URL}, {"type": "base64", "media_type": "image/png", "data": PIXEL}]


def test_messages_images(ant, wire, provider):
    sources = [{"type": "url", "url": URL}, {"type": "base64", "media_type": "image/png", "data": PIXEL}]
    parts = [{"type": "image", "source": source} for source in sources]
    ant.messages.create(model=model(provider, "text"), max_tokens=50, messages=turns(*parts))
    sent = wire.sent()["messages"]
    if provider == "ant":
        assert sent == turns(*parts)
    else:
        urls = [part["image_url"]["url"] for part in sent[0]["content"] if part["type"] == "image_url"]
        assert urls == [URL, f"data:image/png;base64,{PIXEL}"]


def test_chat_document(oai, wire, provider):
    part = {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
    oai.chat.completions.create(model=model(provider, "text"), messages=turns(part))
    sent = wire.sent()["messages"]
    if provider == "oai":
        assert sent == turns(part)
    else:
        (block,) = [block for block in sent[0]["content"] if block["type"] == "document"]
        assert block["source"] == {"type": "base64", "media_type": "application/pdf", "data": PDF}
        assert block.get("title") == "a.pdf"


def test_messages_document(ant, wire, provider):
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    part = {"type": "document", "source": source, "title": "a.pdf"}
    ant.messages.create(model=model(provider, "text"), max_tokens=50, messages=turns(part))
    sent = wire.sent()["messages"]
    if provider == "ant":
        assert sent == turns(part)
    else:
        (file,) = [part["file"] for part in sent[0]["content"] if part["type"] == "file"]
        assert file["file_data"] == f"data:application/pdf;base64,{PDF}"
        assert file["filename"]
