"""Makes job configurations with Prefect's own code: a list of questions on stdin, a list of answers on stdout."""

import asyncio
import json
import os
import sys
import types

from prefect.client.schemas.objects import Flow, FlowRun, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.workers.base import BaseJobConfiguration


class Configuration(BaseJobConfiguration):
    """The base of all workers' configurations, which keeps what it does not know."""

    model_config = {"extra": "allow"}

    @classmethod
    def _base_environment(cls):
        return dict(cls.settings)


class Stub:
    """A client that knows what the question says and nothing else."""

    def __init__(self, question):
        self.question = question

    async def read_deployment(self, deployment_id):
        return DeploymentResponse.model_validate(self.question["deployment"])

    async def read_flow(self, flow_id):
        return Flow.model_validate(self.question["flow"])

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


async def answer(question):
    os.environ.clear()
    os.environ.update(question["environment"])
    Configuration.settings = question["settings"]
    made = await Configuration.resolve_for_flow_run(
        FlowRun.model_validate(question["run"]),
        client=Stub(question),
        work_pool=WorkPool.model_validate(question["pool"]),
        worker_name=question["worker"],
    )
    return made.model_dump(mode="json")


async def main():
    answers = []
    for question in json.load(sys.stdin):
        try:
            answers.append({"is": await answer(question)})
        except Exception as error:
            answers.append({"error": repr(error)})
    json.dump(answers, sys.stdout)


asyncio.run(main())
