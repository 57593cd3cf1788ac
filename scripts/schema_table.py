"""The table of struct types that ``lint_schema.py`` writes, and how an openAPI schema becomes rows of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Converter", "Json", "Table", "crd"]

Json = dict[str, Any]


class Table:
    """The struct types, each kept once."""

    def __init__(self) -> None:
        self.types: list[list[Any]] = []
        self.index: dict[str, str] = {}

    def struct(self, fields: dict[str, str], required: list[str]) -> str:
        key = json.dumps([sorted(fields.items()), sorted(required)])
        if key not in self.index:
            self.index[key] = f"#{len(self.types)}"
            self.types.append([dict(sorted(fields.items())), sorted(required)])
        return self.index[key]

    def reserve(self) -> str:
        self.types.append([{}, []])
        return f"#{len(self.types) - 1}"

    def fields(self, reference: str) -> dict[str, str]:
        fields: dict[str, str] = self.types[int(reference[1:])][0]
        return fields


class Converter:
    """From an openAPI schema to references."""

    def __init__(self, table: Table, components: Json | None = None) -> None:
        self.table = table
        self.components = components or {}
        self.done: dict[str, str] = {}

    def reference(self, schema: Json) -> str:
        if "$ref" in schema:
            return self.named(schema["$ref"].rsplit("/", 1)[1])
        if len(schema.get("allOf", [])) == 1:
            return self.reference(schema["allOf"][0])
        if schema.get("x-kubernetes-int-or-string"):
            return "q" if "pattern" in schema else "x"
        kind, form = schema.get("type"), schema.get("format", "")
        if kind == "object" or "properties" in schema:
            return self.object(schema)
        if kind == "array":
            return "a" + self.reference(schema["items"])
        if kind == "string":
            return {"date-time": "t", "int-or-string": "x", "quantity": "q"}.get(form, "s")
        if kind == "integer":
            return "l" if form == "int64" else "i"
        return {"boolean": "b", "number": "n"}.get(str(kind), "*")

    def object(self, schema: Json) -> str:
        if "properties" in schema:
            fields = {name: self.reference(part) for name, part in schema["properties"].items()}
            return self.table.struct(fields, schema.get("required", []))
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            return "m" + self.reference(extra)
        if schema.get("x-kubernetes-preserve-unknown-fields") or extra:
            return "*"
        return self.table.struct({}, [])

    def named(self, name: str) -> str:
        if name.endswith("resource.Quantity"):
            return "q"
        if name.endswith("intstr.IntOrString"):
            return "x"
        if name.endswith((".Time", ".MicroTime")):
            return "t"
        if name.endswith((".FieldsV1", ".RawExtension", ".JSON")):
            return "*"
        if name not in self.done:
            self.done[name] = "*"  # a type inside itself
            self.done[name] = self.reference(self.components[name])
        return self.done[name]


def crd(folder: Path, name: str) -> Json:
    with (folder / name).open() as stream:
        document = yaml.load(stream, yaml.CSafeLoader)
    schema: Json = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return schema
