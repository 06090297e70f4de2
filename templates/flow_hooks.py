"""Runs the hooks of a flow for one state of a run: `flow_hooks.py crashed|cancellation MANIFEST RUN STATE`.

For runs whose command somebody configured: only the deployment says how their flow is found, so it is loaded as the
engine loads it, pull steps included. Run and state are JSON as the API gives them; the manifest is not needed here.
"""

import asyncio
import inspect
import pathlib
import sys

from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import load_flow_from_flow_run
from prefect.logging.loggers import flow_run_logger


async def run_hooks(kind, run, state):
    flow = await load_flow_from_flow_run(run, use_placeholder_flow=False)
    hooks = flow.on_crashed_hooks if kind == "crashed" else flow.on_cancellation_hooks
    logger = flow_run_logger(run, flow)
    for hook in hooks or []:
        name = getattr(hook, "__name__", type(hook).__name__)
        logger.info("Running hook %r in response to entering state %r", name, state.name)
        try:
            outcome = await asyncio.to_thread(hook, flow=flow, flow_run=run, state=state)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception:
            logger.exception("An error was encountered while running hook %r", name)
        else:
            logger.info("Hook %r finished running successfully", name)


if __name__ == "__main__":
    KIND, _, RUN, STATE = sys.argv[1:]
    read = [
        model.model_validate_json(pathlib.Path(path).read_text(encoding="utf-8"))
        for model, path in ((FlowRun, RUN), (State, STATE))
    ]
    asyncio.run(run_hooks(KIND, *read))
