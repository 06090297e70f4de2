"""What the real Prefect makes of schedules: one JSON request on stdin, one JSON answer on stdout.

The clock is fixed to the request's `now`, so that answers can be compared.
"""

import datetime
import json
import sys
import warnings
from zoneinfo import available_timezones

warnings.simplefilter("ignore")

import dateutil.rrule  # noqa: E402,F401
import pendulum.parsing  # noqa: E402
from prefect._internal.schemas.validators import validate_cron_string  # noqa: E402
from prefect.cli.deploy._config import _handle_deprecated_schedule_fields  # noqa: E402
from prefect.cli.deploy._models import DeploymentConfig  # noqa: E402
from prefect.cli.deploy._schedules import (  # noqa: E402
    _schedule_config_to_deployment_schedule as to_schedule,
)
from prefect.cli.deploy._sla import _initialize_deployment_slas  # noqa: E402
from prefect.client.schemas.actions import (  # noqa: E402
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
)
from prefect.client.schemas.objects import ConcurrencyOptions  # noqa: E402
from prefect.client.schemas.schedules import CronSchedule, RRuleSchedule  # noqa: E402
from prefect.utilities.templating import apply_values  # noqa: E402

REAL = datetime.datetime
OWNER = "00000000-0000-0000-0000-000000000001"


class _Meta(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, REAL)


def fixed_clock(now):
    class Fixed(REAL, metaclass=_Meta):
        @classmethod
        def now(cls, tz=None):
            return now.astimezone(tz) if tz else now.replace(tzinfo=None)

    datetime.datetime = Fixed
    pendulum.parsing.datetime = Fixed


def attempt(function, *args):
    """The result, or None for whatever exception."""
    try:
        return function(*args)
    except Exception:
        return None


def accepted(function, *args):
    try:
        function(*args)
        return True
    except Exception:
        return False


def revive(value):
    """Dates of YAML arrive as {"$date": …} and {"$datetime": …}."""
    if isinstance(value, dict):
        if "$date" in value:
            return datetime.date.fromisoformat(value["$date"])
        if "$datetime" in value:
            return REAL.fromisoformat(value["$datetime"])
        return {key: revive(item) for key, item in value.items()}
    if isinstance(value, list):
        return [revive(item) for item in value]
    return value


def shape(declaration):
    """The declaration after validation and JSON mode, with the old key resolved."""
    model = DeploymentConfig.model_validate(revive(declaration))
    return _handle_deprecated_schedule_fields(model.model_dump(exclude_unset=True, mode="json"))


def bodies(config):
    """Bodies of creation and update, without the times that the clock gives."""
    schedule = to_schedule(config)
    create = DeploymentScheduleCreate(**schedule).model_dump(mode="json")
    update = DeploymentScheduleUpdate(**schedule).model_dump(mode="json", exclude_unset=True)
    if not config.get("anchor_date") or config["anchor_date"] == "now":
        create["schedule"].pop("anchor_date", None)
        update["schedule"].pop("anchor_date", None)
    return {"create": create, "update": update}


def declared(declaration):
    schedules = shape(declaration).get("schedules")
    return [bodies(config) for config in apply_values(schedules, {})] if schedules else schedules


def limit(value):
    declaration = shape({"concurrency_limit": value})
    limit, options = declaration.get("concurrency_limit"), None
    if isinstance(limit, dict):
        options = {"collision_strategy": limit.get("collision_strategy")}
        if limit.get("grace_period_seconds") is not None:
            options["grace_period_seconds"] = limit["grace_period_seconds"]
        ConcurrencyOptions.model_validate(options)
        limit = limit.get("limit")
    return [limit, options]


def slas(value):
    specs = shape({"sla": value}).get("sla")
    if specs is None:
        return None
    built = _initialize_deployment_slas(OWNER, apply_values(specs, {}))
    return [sla.model_dump(mode="json", exclude_unset=True) for sla in built]


def main():
    request = json.load(sys.stdin)
    fixed_clock(REAL.fromisoformat(request["now"]))
    answer = {
        "crons": [accepted(validate_cron_string, cron) for cron in request["crons"]],
        "items": [attempt(bodies, config) for config in request["items"]],
        "declarations": [attempt(lambda d: [declared(d)], d) for d in request["declarations"]],
        "known_timezones": sorted(available_timezones()),
        "limits": [attempt(limit, value) for value in request["limits"]],
        "slas": [attempt(lambda v: [slas(v)], value) for value in request["slas"]],
    }
    zones = sorted(set(request["timezones"]) | available_timezones())
    answer["timezones"] = {
        zone: [
            accepted(lambda: CronSchedule(cron="* * * * *", timezone=zone)),
            accepted(lambda: RRuleSchedule(rrule="FREQ=DAILY", timezone=zone)),
        ]
        for zone in zones
    }
    json.dump(answer, sys.stdout)


main()
