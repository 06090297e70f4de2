"""Reads a JSON list of texts; writes what `yaml.safe_load` makes of each, with its types, as a JSON list."""

import datetime
import json
import math
import re
import struct
import sys

import yaml

# Texts in which aliases, escapes or large numbers may stand.
UNUSUAL = re.compile(r"[*\\]|[0-9a-fA-F_:]{16}")
loader = yaml.SafeLoader("")

def inspect(node, notes, seen=()):
    """Notes of the graph of values, also of those that the loader drops."""
    if node in seen:
        notes.add("recursive")
        return
    seen = (*seen, node)
    if isinstance(node, yaml.ScalarNode):
        if any("\ud800" <= c <= "\udfff" for c in node.value):
            notes.add("surrogate")
        if node.tag == "tag:yaml.org,2002:int" and not -(2**63) <= loader.construct_yaml_int(node) < 2**64:
            notes.add("large")
        return
    for part in node.value:
        for child in part if isinstance(part, tuple) else (part,):
            inspect(child, notes, seen)


def describe(value, notes, seen=()):
    if id(value) in seen:
        return None
    if value is None:
        return None
    if isinstance(value, bool):
        return f"bool:{str(value).lower()}"
    if isinstance(value, int):
        return f"int:{value}"
    if isinstance(value, float):
        return "float:nan" if math.isnan(value) else "float:" + struct.pack(">d", value).hex()
    if isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value):
            return "str:surrogate"
        return "str:" + value
    if isinstance(value, datetime.datetime):
        return ("naive:" if value.tzinfo is None else "aware:") + value.isoformat()
    if isinstance(value, datetime.date):
        return "date:" + value.isoformat()
    if isinstance(value, bytes):
        return "bytes:" + value.hex()
    seen = (*seen, id(value))
    if isinstance(value, dict):
        return {"map": [[describe(k, notes, seen), describe(v, notes, seen)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [describe(v, notes, seen) for v in value]
    if isinstance(value, set):
        return {"set": sorted(json.dumps(describe(v, notes, seen), ensure_ascii=False) for v in value)}
    raise TypeError(type(value))


def answer(text):
    notes = set()
    try:
        value = yaml.safe_load(text)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    if UNUSUAL.search(text):
        inspect(yaml.compose(text, Loader=yaml.SafeLoader) or yaml.ScalarNode("", ""), notes)
    described = describe(value, notes)
    return {"value": described, "notes": sorted(notes)}


json.dump([answer(text) for text in json.load(sys.stdin)], sys.stdout)
