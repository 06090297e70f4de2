"""Makes job configurations with Prefect's own code: a list of questions on stdin, a list of answers on stdout."""

import asyncio
import json
import os
import sys

from prefect.client.schemas.objects import Flow, FlowRun, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.workers.base import BaseJobConfiguration

from stub import Stub


class Configuration(BaseJobConfiguration):
    """The base of all workers' configurations, which keeps what it does not know."""

    model_config = {"extra": "allow"}

    @classmethod
    def _base_environment(cls):
        return dict(cls.settings)


class Runs(Stub):
    """The same for a run: it has a deployment and a flow."""

    async def read_deployment(self, deployment_id):
        return DeploymentResponse.model_validate(self.question["deployment"])

    async def read_flow(self, flow_id):
        return Flow.model_validate(self.question["flow"])


async def answer(question):
    os.environ.clear()
    os.environ.update(question["environment"])
    Configuration.settings = question["settings"]
    made = await Configuration.resolve_for_flow_run(
        FlowRun.model_validate(question["run"]),
        client=Runs(question),
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
