import datetime
import decimal
import pathlib
import uuid
from typing import Annotated, Any, Callable, Dict, List, Literal, Optional, Sequence, Tuple, Union

from prefect import flow
from pydantic import AnyUrl, Field, PositiveInt, SecretStr


@flow
def simple(a, b: int, c: str = "x", d: float = 1.0, e: bool = False, f: None = None, g: bytes = b"x", *, h: int, i: str = 'q"'):
    pass


@flow
def unions(
    a: Optional[int] = None,
    b: Union[int, str] = 1,
    c: "int | None" = None,
    d: str | None = "x",
    e: Literal["a", "b"] = "a",
    f: Literal["only"] = "only",
    g: Literal["a", 1, None] = None,
    h: Optional[Literal["x"]] = None,
    i: int = None,
):
    pass


@flow
def containers(
    a: list[int] = [],
    b: List[str] = ["x"],
    c: list = [],
    d: dict[str, int] = {},
    e: Dict[str, List[int]] = {"a": [1]},
    f: dict = {"k": None},
    g: tuple[int, str] = (1, "a"),
    h: tuple[int, ...] = (),
    i: Tuple = (),
    j: set[int] = {1},
    k: frozenset[str] = frozenset(),
    l: Sequence[int] = (1, 2),
    m: Optional[List[Dict[str, Any]]] = None,
):
    pass


@flow
def rich(
    a: datetime.datetime = datetime.datetime(2024, 1, 2, 3, 4, 5),
    b: datetime.date = datetime.date(2024, 1, 1),
    c: datetime.timedelta = datetime.timedelta(minutes=90),
    d: uuid.UUID = uuid.UUID("12345678123456781234567812345678"),
    e: pathlib.Path = pathlib.Path("/tmp") / "x",
    f: decimal.Decimal = decimal.Decimal("1.50"),
    g: SecretStr = SecretStr("s"),
    h: AnyUrl = "https://example.org",
    i: PositiveInt = 3,
    j: Any = None,
    k: Callable = print,
    l: object = object(),
    m: datetime.time = datetime.time(1, 2),
    n: complex = 1j,
):
    pass


@flow
def constrained(
    a: Annotated[int, Field(ge=1, le=10, description="lost")] = 5,
    b: int = Field(default=3, ge=1, description="of b", title="no", json_schema_extra={"position": 9, "format": "x"}),
    c: Annotated[str, "meta"] = "x",
    d: str = Field(description="required and described"),
    e: list[Annotated[int, Field(gt=0)]] = [1],
):
    pass


@flow
def variadic(a, /, b=1, *args: int, c=2, **kwargs: str):
    pass


@flow(name="shadows")
def shadows(copy: int = 1, json: str = "", schema: dict = {}):
    pass
