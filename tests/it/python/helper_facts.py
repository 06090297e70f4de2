"""What `prefect deploy` would send for flows: reads questions from stdin, writes answers to the file it is told.

Each question is answered in a fork, in its own directory, while an event loop runs, as in the command.
"""

import asyncio
import json
import os
import signal
import sys
from uuid import UUID

import prefect.cli.deploy  # noqa: F401
from prefect.client.schemas.actions import DeploymentCreate
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema


async def facts(entrypoint):
    flow = load_flow_from_entrypoint(entrypoint)
    deployment = RunnerDeployment(name="x", flow_name=flow.name, entrypoint=entrypoint)
    deployment._set_defaults_from_flow(flow)
    deployment._parameter_openapi_schema = parameter_schema(flow)
    body = DeploymentCreate(
        name="x",
        flow_id=UUID(int=0),
        version=deployment.version,
        parameter_openapi_schema=deployment._parameter_openapi_schema.model_dump(exclude_unset=True),
    ).model_dump(mode="json")
    schema = body["parameter_openapi_schema"]
    # Sent as the text "None" when a deployment is new and has none: not what is compared here.
    return {"name": flow.name, "description": flow.description, "version": body["version"], "schema": schema}


def answer(question):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        os.setpgid(0, 0)
        os.chdir(question["cwd"])
        try:
            told = {"ok": asyncio.run(facts(question["entrypoint"]))}
        except BaseException as error:
            told = {"error": type(error).__name__}
        with os.fdopen(write, "w") as pipe:
            json.dump(told, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    try:
        os.killpg(pid, signal.SIGKILL)  # what a file left behind
    except ProcessLookupError:
        pass
    return json.loads(text) if text else {"error": "died"}


answers = [answer(question) for question in json.load(sys.stdin)]
with open(sys.argv[1], "w") as file:
    json.dump(answers, file)
