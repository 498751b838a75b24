"""View model of the API's reference: the OpenAPI document in, words out. No SQL, no HTTP.

Drawn on the server like every other page: the usual viewers load their script from elsewhere.
"""

import re
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a request's or an answer's body, or one parameter."""

    name: str
    kind: str
    required: bool
    text: Markup


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. `answer` holds the fields of the first 2xx answer."""

    method: str
    path: str
    anchor: str
    summary: str
    paragraphs: list[Markup]
    parameters: list[Field]
    body: list[Field]
    answer_status: str
    answer: list[Field]


@dataclass(frozen=True, slots=True)
class Reference:
    """The whole page: operations by tag, in the order of the document."""

    title: str
    paragraphs: list[Markup]
    groups: dict[str, list[Operation]]


def reference_of(document: dict[str, Any]) -> Reference:
    """The page of an OpenAPI 3 document."""
    schemas = document.get("components", {}).get("schemas", {})
    groups: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method in (m for m in _METHODS if m in methods):
            found = methods[method]
            tag = (found.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(method, path, found, schemas))
    info = document["info"]
    return Reference(info["title"], paragraphs(info.get("description", "")), groups)


def paragraphs(text: str) -> list[Markup]:
    """Plain text with `code` and *emphasis*, escaped, by blank lines."""
    return [_inline(" ".join(part.split())) for part in re.split(r"\n\s*\n", text.strip()) if part]


def _inline(text: str) -> Markup:
    safe = str(escape(text))
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    return Markup(re.sub(r"\*([^*]+)\*", r"<em>\1</em>", safe))


def _operation(method: str, path: str, found: dict[str, Any], schemas: dict[str, Any]) -> Operation:
    status, answer = next(
        ((s, a) for s, a in found["responses"].items() if s.startswith("2")), ("", {})
    )
    return Operation(
        method=method.upper(),
        path=path,
        anchor=re.sub(r"[^a-z0-9]+", "-", f"{method} {path}".lower()).strip("-"),
        summary=found.get("summary", ""),
        paragraphs=paragraphs(found.get("description", "")),
        parameters=[_parameter(p) for p in found.get("parameters", [])],
        body=_fields(found.get("requestBody", {}), schemas),
        answer_status=status,
        answer=_fields(answer, schemas),
    )


def _parameter(parameter: dict[str, Any]) -> Field:
    text = _inline(parameter.get("description", ""))
    kind = f"{_kind(parameter.get('schema', {}))}, {parameter['in']}"
    return Field(parameter["name"], kind, parameter.get("required", False), text)


def _fields(holder: dict[str, Any], schemas: dict[str, Any]) -> list[Field]:
    content = holder.get("content", {}).get("application/json", {}).get("schema", {})
    schema = _resolved(content, schemas)
    required = set(schema.get("required", []))
    return [
        Field(name, _kind(member), name in required, _inline(member.get("description", "")))
        for name, member in schema.get("properties", {}).items()
    ]


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = schemas.get(name, schema)
    return found


def _kind(schema: dict[str, Any]) -> str:
    """A type in a word or two: `integer`, `string or null`, `list of OrderBody`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(_kind(choice) for choice in choices)
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    return str(schema.get("format") or schema.get("type", "any"))
