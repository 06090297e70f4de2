"""The flows of the shop."""

from prefect import flow, task
from prefect.concurrency.sync import concurrency


@task(tags=["database"])
def load(region: str) -> int:
    with concurrency("warehouse-connections"):
        return len(region)


@flow
def orders(region: str = "eu-west-1", day: str | None = None) -> int:
    """Loads the orders of a day.

    Args:
        region: where they were made
        day: which day; yesterday if not given
    """
    return load(region)
