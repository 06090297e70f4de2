from prefect import flow

from shared.settings import REGION, Region
from shop import models as m
from shop.models import Order, Status


@flow(name="order")
def order(order: Order, region: Region = REGION): ...


@flow
def ship(orders: list[m.Order], status: m.Status = Status.SENT, limit: m.Money = 1.5): ...


@flow
def both(line: "m.Line", entity: m.Entity | None = None): ...
