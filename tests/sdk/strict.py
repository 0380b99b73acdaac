"""Validation against the SDKs' own types, with nothing let through.

The SDKs are lenient on purpose: their response models keep unknown members, and build themselves from values of the wrong
type without a word; their request types are `TypedDict`s that nobody checks at run time. A gateway that sends a misspelt
member, or answers with a number where a string belongs, would pass every test that only looks at what it expects.

So `Strict` takes the schema that pydantic derives from such a type and tightens every node of it:

* unknown members are refused, at every level (but for the few types that the SDK itself declares open, such as a JSON
  schema);
* `Iterable[...]`, which pydantic validates lazily, item by item, when somebody asks for one (nobody ever does), becomes a
  list that is validated at once;
* values keep their JSON type: no `"1"` for a number, no `1` for a string or a boolean.

What the gateway adds of its own is a closed list: `additions` names, for each class, the extra members and their types. A member that is neither the SDK's nor on that list is an error.

`test_strict.py` shows for each type that a damaged sample is refused, so that a validator that went blind would be noticed.
"""

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

Additions = dict[type, dict[str, Any]]


class Refused(AssertionError):
    """A value is not of its type; says where."""


class Strict:
    """Checks JSON text, or what was parsed of it, against one type."""

    def __init__(self, type_: Any, additions: Additions | None = None) -> None:
        self._validator = SchemaValidator(_tight(_schema(type_), additions or {}), _use_prebuilt=False)

    def __call__(self, value: bytes | str | dict | list) -> None:
        """Raises `Refused`, whose message names the places, unless `value` is of the type.

        Always reads JSON text: strictly from Python values, pydantic would ask for instances of the model classes.
        """
        text = value if isinstance(value, (bytes, str)) else json.dumps(value)
        try:
            self._validator.validate_json(text, strict=True)
        except ValidationError as error:
            # Every variant of every union complains; the ones that went deepest are about what was meant.
            errors = sorted(error.errors(include_url=False), key=lambda it: -len(it["loc"]))[:6]
            lines = [f"  {'.'.join(map(str, it['loc']))}: {it['msg']}" for it in errors]
            shown = text if isinstance(text, str) else text.decode()
            raise Refused("\n".join([f"not a {error.title}: {shown[:2000]}", *lines])) from None


def _schema(type_: Any) -> Any:
    adapter = TypeAdapter(type_)
    adapter.rebuild(force=True)  # the SDKs defer the building of their models
    return adapter.core_schema


def _tight(node: Any, additions: Additions) -> Any:
    """A copy of the schema `node`, tightened; definitions and references included."""
    if isinstance(node, list):
        return [_tight(item, additions) for item in node]
    if isinstance(node, tuple):
        return tuple(_tight(item, additions) for item in node)
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    if kind == "literal":
        return node
    if kind == "generator":
        return _tight({"type": "list", "items_schema": node.get("items_schema", {"type": "any"})}, additions)
    if kind == "union":
        return _tight_union(node, additions)
    tight = {key: value if key in OPAQUE else _tight(value, additions) for key, value in node.items() if key != "fields"}
    if "fields" in node:  # by name: a member may be called what a key of schemas is called
        tight["fields"] = {name: _tight(field, additions) for name, field in node["fields"].items()}
    if kind == "typed-dict":
        if node.get("config", {}).get("extra_fields_behavior") != "allow":
            tight["extra_behavior"] = "forbid"
            tight["config"] = {**node.get("config", {}), "extra_fields_behavior": "forbid"}
        for name, type_ in additions.get(node.get("cls"), {}).items():
            tight["fields"][name] = {"type": "typed-dict-field", "schema": _added(type_, additions), "required": False}
    if kind == "model":
        tight["config"] = {**node.get("config", {}), "extra_fields_behavior": "forbid"}
        fields = tight["schema"]
        while fields["type"] != "model-fields":  # inside a validator of the model's own
            fields = fields["schema"]
        fields["extra_behavior"] = "forbid"
        for name, type_ in additions.get(node["cls"], {}).items():
            schema = {"type": "default", "schema": _added(type_, additions), "default": None}
            fields["fields"][name] = {"type": "model-field", "schema": schema}
    return tight


def _added(type_: Any, additions: Additions) -> Any:
    """The schema of a member of the gateway's own."""
    schema = _schema(type_)
    if schema["type"] == "definitions":
        # It is spliced into another schema, whose definitions it does not share.
        raise TypeError("an addition's type must not refer to itself or to another type twice")
    return _tight(schema, additions)


def _tight_union(node: dict, additions: Additions) -> dict:
    """A union of request types may also list response models, which callers pass back as they got them.

    On the wire these are the plain objects that the request types describe, and a response model among the choices would
    let through what only an answer may hold. So they are left out wherever another choice is.
    """
    choices = [choice[0] if isinstance(choice, tuple) else choice for choice in node["choices"]]
    if any(_is_param(choice) for choice in choices):
        choices = [choice for choice in choices if choice["type"] != "model"]
    rest = {key: value for key, value in node.items() if key != "choices"}
    return {**rest, "choices": [_tight(choice, additions) for choice in choices]}


def _is_param(choice: dict) -> bool:
    reference = choice.get("schema_ref", choice.get("ref", ""))
    return choice["type"] == "typed-dict" or "_param" in reference


OPAQUE = {"cls", "metadata", "default", "default_factory", "function", "serialization", "ref", "schema_ref"}
"""Keys of a schema's nodes that hold no schemas."""
