"""Reads a JSON list of YAML texts; writes, for each, the JSON text of what Prefect keeps of it as a deployment's parameter."""

import json
import sys

import yaml
from prefect.cli.deploy._models import DeploymentConfig


def answer(text):
    try:
        config = DeploymentConfig.model_validate({"parameters": {"x": yaml.safe_load(text)}})
        return json.dumps(config.model_dump(mode="json")["parameters"]["x"])
    except Exception:
        return None


json.dump([answer(text) for text in json.load(sys.stdin)], sys.stdout)
