# try: f g
from datetime import date
from enum import Enum

from prefect import flow
from pydantic import BaseModel


class Cat(BaseModel):
    """A cat."""

    title: str = ""


class Status(Enum):
    on = 1


@flow
def f(Cat: Cat, Status: Status = Status.on, date: date = date(2024, 1, 1)):
    """F.

    Args:
        Cat: A cat.
        Status: which
    """


@flow
def g(cat: Cat, title: str = "Cat", other: "Cat" = None): ...
