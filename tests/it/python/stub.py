"""The client of questions: it knows what a question says and nothing else."""

import types

from prefect.exceptions import ObjectNotFound


class Stub:
    """Answers what templates ask for."""

    def __init__(self, question):
        self.question = question

    async def read_variable_by_name(self, name):
        variables = self.question["variables"]
        return types.SimpleNamespace(value=variables[name]) if name in variables else None

    async def read_block_document_by_name(self, name, block_type_slug):
        for slug, known, data in self.question["blocks"]:
            if (slug, known) == (block_type_slug, name):
                return types.SimpleNamespace(data=data)
        raise ObjectNotFound(http_exc=Exception())

    async def read_block_document(self, block_document_id):
        if block_document_id not in self.question["ids"]:
            raise ObjectNotFound(http_exc=Exception())
        return types.SimpleNamespace(data=self.question["ids"][block_document_id])
