"""Makes bodies for the Engine API with docker-py, and with Prefect's own worker where prefect-docker is installed."""

import json
import os
import sys

from docker.models.containers import _create_container_args
from docker.types import ContainerConfig

try:
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.workers.base import BaseJobConfiguration
    from prefect_docker.worker import DockerWorker, DockerWorkerJobConfiguration
except ImportError:
    DockerWorker = None

API = "1.41"


class Engine:
    """As much of an engine as the worker asks before it makes a container."""

    def version(self):
        return {"Version": "20.10.24"}


def body(arguments):
    arguments = {"command": None, **arguments, "version": API}
    made = _create_container_args(arguments)
    made.pop("name", None)
    made.pop("use_config_proxy", None)
    platform = made.pop("platform", None)
    config = ContainerConfig(API, **made)
    return {"body": json.loads(json.dumps(config)), "platform": platform}


def container(job):
    settings = job["settings"]
    BaseJobConfiguration._base_environment = classmethod(lambda cls: dict(settings))
    with temporary_settings({PREFECT_API_URL: settings["PREFECT_API_URL"]}):
        return prepared(job)


def prepared(job):
    os.environ["HOME"] = "/tmp"
    os.environ["DOCKER_CONFIG"] = "/nowhere"
    os.chdir("/")
    configuration = DockerWorkerJobConfiguration(
        **job["config"], env=job["env"], labels=job["labels"], name=job["name"]
    )
    configuration.env = {**configuration._base_environment(), **configuration.env}
    configuration.command = job["config"].get("command") or "prefect flow-run execute"
    configuration.labels = configuration._convert_labels_to_docker_format(
        {**configuration.labels, "io.prefect.version": "3.8.8"}
    )
    configuration.name = configuration._slugify_container_name()
    worker = DockerWorker.__new__(DockerWorker)
    settings = worker._build_container_settings(Engine(), configuration)
    policy = configuration._determine_image_pull_policy().value
    name = settings.pop("name")
    return {**body(settings), "name": name, "policy": policy}


def answer(question):
    if "arguments" in question:
        return body(question["arguments"])
    return container(question["job"])


answers = []
for question in json.load(sys.stdin):
    if "job" in question and DockerWorker is None:
        answers.append({"missing": True})
        continue
    try:
        answers.append({"is": answer(question)})
    except Exception as error:
        answers.append({"error": repr(error)})
json.dump(answers, sys.stdout)
