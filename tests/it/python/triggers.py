"""What the real Prefect makes of triggers: one JSON request on stdin, one JSON answer on stdout."""

import json
import sys
import warnings

warnings.simplefilter("ignore")

from prefect.cli.deploy._triggers import _initialize_deployment_triggers  # noqa: E402
from prefect.events.schemas.automations import AutomationCore  # noqa: E402

DEPLOYMENT = "00000000-0000-0000-0000-000000000001"


def body(spec):
    """The JSON that the client posts for one trigger, or None for whatever exception."""
    try:
        [trigger] = _initialize_deployment_triggers("t1", [dict(spec)])
        trigger.set_deployment_id(DEPLOYMENT)
        automation = trigger.as_automation()
        assert isinstance(automation, AutomationCore)
        return automation.model_dump(mode="json")
    except Exception:
        return None


def main():
    request = json.load(sys.stdin)
    json.dump([body(spec) for spec in request["triggers"]], sys.stdout)


main()
