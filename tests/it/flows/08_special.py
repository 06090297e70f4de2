# try: a b c d e g h j k l m n o
import logging
import typing
from typing import Any, Dict, Generic, List, Optional, Protocol, TypeVar, Union

from prefect import flow, task
from prefect.blocks.system import Secret
from prefect.futures import PrefectFuture
from pydantic import BaseModel, Field, RootModel
from typing_extensions import Annotated, TypeAliasType

Json = TypeAliasType("Json", dict[str, Any])
Number = Union[int, float]
Row = Dict[str, Number]
Positive = Annotated[int, Field(gt=0)]


class Generic_(BaseModel, Generic[TypeVar("T")]):
    a: int


class Root(RootModel[List[int]]):
    pass


class Proto(Protocol):
    def run(self) -> int: ...


class Callable_:
    def __call__(self): ...


@flow
def a(x: Json, y: list[Json] = []): ...
@flow
def b(x: List[Row], y: Positive = 3, z: Optional[Positive] = None): ...
@flow
def c(x: Secret): ...
@flow
def d(x: logging.Logger = logging.getLogger("x")): ...
@flow
def e(x: PrefectFuture): ...
@flow
def g(x: Generic_): ...
@flow
def h(x: Root): ...
@flow
def j(x: Callable_, y=lambda: 3, z=print): ...
@flow
def k(title: str, type: int, properties: dict, required: list, definitions: str = "x"): ...
@flow
def l(copy: int, json: str, dict: int = 1, validate: bool = True, model_name: str = "m"): ...
@flow
def m(x: typing.Any, y: "typing.Any" = None, z: "typing.Optional[int]" = 3): ...
@flow
def n(é: int, ñandú: str = "ü"): ...
@flow(name=n.name + "-again", on_failure=[print], flow_run_name="x-{y}", result_storage=None, persist_result=True)
def o(y): ...
