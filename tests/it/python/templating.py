"""Answers a batch of templating questions with Prefect's own functions: JSON on stdin, JSON on stdout.

Prefect goes through a text's placeholders in the order of a set, which changes from run to run. Here the real
`find_placeholders` answers in the order of first appearance, so that answers can be compared.
"""

import asyncio
import json
import os
import sys
import unicodedata

from prefect.utilities import templating
from prefect.utilities.annotations import NotSet

from stub import Stub

real_find = templating.find_placeholders


class Ordered(templating.Placeholder):
    """A placeholder whose hash is its rank: a set of them is gone through by rank."""

    def __hash__(self):
        return self.rank


def ordered_find(template):
    found = real_find(template)
    if not isinstance(template, str):
        return found
    ordered = [Ordered(*p) for p in sorted(found, key=lambda p: template.find(p.full_match))]
    for rank, placeholder in enumerate(ordered):
        placeholder.rank = rank
    assert list(set(ordered)) == ordered
    return set(ordered)


templating.find_placeholders = ordered_find


def set_environ(env):
    os.environ.clear()
    os.environ.update(env)


async def blocks(q, template):
    return await templating.resolve_block_document_references(template, client=Stub(q))


async def variables(q, template):
    return await templating.resolve_variables(template, client=Stub(q))


def apply(q, template):
    set_environ(q["env"])
    values = os.environ if q["values"] is None else q["values"]
    return templating.apply_values(template, values, remove_notset=q["remove"], skip_prefixes=q["skip"])


async def deploy(q, template):
    """The passes of `prefect deploy` over a declaration, in their order (cli/deploy/_core.py)."""
    set_environ(q["env"])
    template = await variables(q, await blocks(q, template))
    template = templating.apply_values(template, os.environ, remove_notset=False)
    return templating.apply_values(template, q["values"], skip_prefixes=["ctx."])


def chars(q):
    """For each character: a word character, white space, printable, and its category."""
    flags = []
    for code in range(q["from"], q["to"]):
        c = chr(code)
        word = len(real_find("{{" + c + "}}")) == 1
        space = len(real_find("{{" + c + "a}}")) == 1 and not word
        flags.append([word, space, repr(c) == f"'{c}'", unicodedata.category(c)])
    return flags


async def answer(q):
    match q["ask"]:
        case "find":
            return [[p.full_match, p.name, p.type.value] for p in ordered_find(q["template"])]
        case "apply":
            return apply(q, q["template"])
        case "blocks":
            return await blocks(q, q["template"])
        case "variables":
            return await variables(q, q["template"])
        case "deploy":
            return await deploy(q, q["template"])
        case "str":
            return str(q["template"])
        case "chars":
            return chars(q)


async def main():
    answers = []
    for question in json.load(sys.stdin):
        try:
            result = await answer(question)
            answers.append({"notset": True} if result is NotSet else {"is": result})
        except Exception as error:
            answers.append({"error": repr(error)})
    json.dump(answers, sys.stdout)


asyncio.run(main())
