"""Fills a workspace as people do who use Prefect's own Python."""
import asyncio
import sys
from datetime import timedelta

from prefect.automations import Automation
from prefect.blocks.core import Block
from prefect.blocks.notifications import SlackWebhook
from prefect.blocks.system import Secret
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.events import EventTrigger, CompoundTrigger
from prefect.events.actions import PauseWorkPool, RunDeployment, SendNotification
from prefect.filesystems import LocalFileSystem, RemoteFileSystem
from prefect.variables import Variable
from pydantic import SecretStr

CANARY = sys.argv[1]


class Warehouse(Block):
    """Where the data is & how to < get > there."""

    _block_type_name = "Warehouse"
    _block_type_slug = "warehouse"
    _logo_url = "https://example.org/logo.png"

    host: str
    port: int = 5432
    password: SecretStr | None = None
    options: dict = {}


class Report(Block):
    _block_type_name = "Report"
    _block_type_slug = "report"

    warehouse: Warehouse
    title: str = "Report"


async def main():
    await Secret(value=CANARY).save("token")
    await Secret(value={"user": "u", "password": CANARY + "-json"}).save("login")
    await Secret(value="line one\nline two: " + CANARY + "\n").save("pem")
    warehouse = Warehouse(host="db", password=CANARY + "-w", options={"on": "yes", "1:30": "010"})
    await warehouse.save("main")
    await Report(warehouse=await Warehouse.load("main"), title="{{ not ours }}").save("weekly")
    await LocalFileSystem(basepath="/tmp/flows").save("flows")
    await RemoteFileSystem(basepath="s3://b/p", settings={"key": "k", "secret": CANARY + "-r"}).save("remote")
    await Webhook(method="POST", url="https://example.org/" + CANARY, headers={"A": "b"}).save("hook")
    await SlackWebhook(url="https://hooks.slack.com/services/" + CANARY).save("alerts")

    await Variable.set("region", "eu-west-1", tags=["infra", "a"])
    await Variable.set("odd", {"yes": "no", "n": None, "list": [1, 1.5, "1e5", True], "text": "a\n  b\n"})
    await Variable.set("sentence", "It's \"quoted\": # not a comment {{ event.x }} \u2028 ümläut 😀")
    await Variable.set("number", 3)

    async with get_client() as client:
        await client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="db", limit=5))
        await client.create_global_concurrency_limit(
            GlobalConcurrencyLimitCreate(name="api calls", limit=2, active=False, slot_decay_per_second=0.5)
        )
        await client.create_concurrency_limit(tag="heavy", concurrency_limit=3)
        deployment = (await client.read_deployments())[0]
        pool = await client.read_work_pool("local")
        alerts = (await client.read_block_document_by_name("alerts", "slack-webhook")).id

    await Automation(
        name="pause after failures",
        description="Stops: the pool",
        tags=["ops"],
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            match_related={"prefect.resource.id": f"prefect.deployment.{deployment.id}", "prefect.resource.role": "deployment"},
            posture="Reactive",
            threshold=3,
            within=timedelta(minutes=10),
        ),
        actions=[PauseWorkPool(source="selected", work_pool_id=pool.id)],
        actions_on_resolve=[SendNotification(block_document_id=alerts, subject="{{ event.id }}", body="{{ flow_run.name }}\nis bad")],
    ).acreate()
    await Automation(
        name="run again",
        enabled=False,
        trigger=CompoundTrigger(
            require="any",
            within=timedelta(seconds=30),
            triggers=[
                EventTrigger(expect={"my.event"}, posture="Reactive", match={"prefect.resource.id": "my.*"}),
                EventTrigger(after={"a"}, expect={"b"}, posture="Proactive", for_each={"prefect.resource.id"}, within=timedelta(seconds=60)),
            ],
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment.id, parameters={"name": "{{ event.resource.id }}"})],
    ).acreate()


asyncio.run(main())
