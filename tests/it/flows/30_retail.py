# try: daily_sales restock forecast report Warehouse.audit Warehouse.count nightly
"""Retail: comprehensions, small helpers, options, several flows in a file."""
import functools
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import Enum
from typing import Any, Callable, Dict, List, Optional

from prefect import flow, task, unmapped
from prefect.states import Completed, State
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

STORES = ["berlin", "paris", "rome"]
CODES = {name: name[0] for name in ("a", "b")}
UPPER = [store.upper() for store in STORES]
WEEKS = list(range(1, 5))
LIMITS = {store: 10 * at for at, store in [(1, "berlin"), (2, "paris")]}


class Channel(str, Enum):
    WEB = "web"
    SHOP = "shop"


def stores() -> List[str]:
    """All of them."""
    return STORES + ["oslo"]


def bucket(name: str, suffix: str = "raw") -> str:
    return f"s3://{name}-{suffix}"


def timed(fn: Callable) -> Callable:
    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any):
        return fn(*args, **kwargs)

    return wrapper


class Basket(BaseModel):
    """What is bought."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    customer_id: int
    line_items: List[str] = Field(default_factory=list, description="what")
    paid: bool = False

    @field_validator("line_items")
    @classmethod
    def check(cls, v):
        return v


class Report(BaseModel):
    class Config:
        extra = "forbid"
        title = "The Report"

    stores: List[str] = STORES
    channel: Channel = Channel.WEB
    window: timedelta = timedelta(days=7)

    @model_validator(mode="before")
    @classmethod
    def before(cls, data: Any) -> Any:
        return data


@dataclass
class Window:
    start: date
    end: Optional[date] = None
    channels: List[Channel] = field(default_factory=lambda: [Channel.WEB])


@task(task_run_name="sell-{store}")
def sell(store: str) -> int:
    return 1


@flow(name="Daily sales", task_runner=ThreadPoolTaskRunner(max_workers=4), flow_run_name="sales-{day}")
def daily_sales(day: date, stores: List[str] = STORES, upper: List[str] = UPPER, limits: Dict[str, int] = LIMITS) -> State:
    """Sales of a day.

    Parameters
    ----------
    day : date
        The day.
    stores : list of str
        Which stores.
    """
    sell.map(stores)
    return Completed()


@flow
@timed
def restock(stores: List[str] = stores(), target: str = bucket("stock"), weeks: List[int] = WEEKS): ...


@timed
def forecast_impl(window: Window, horizon: int = 12): ...


forecast = flow(name="forecast", version="2")(forecast_impl)


@flow(name="report")
def report(report: Report, baskets: Optional[List[Basket]] = None, channels: List[Channel] = list(Channel)): ...


class Warehouse:
    @staticmethod
    @flow
    def audit(depth: int = 1, *, strict: bool = True): ...

    @flow(description="Counts.")
    def count(self, shelf: str, /, times: int = len(STORES)): ...


nightly = report.with_options(name="nightly report", description="every night")
