# try: y z y2 a b c d e f g h i j k l m n o p q r u v w x
from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Dict, List, Literal, NamedTuple, Optional, Union

from prefect import flow
from pydantic import (AliasChoices, BaseModel, ConfigDict, EmailStr, Field, PrivateAttr, SecretStr, computed_field,
                      field_validator, model_validator)
from typing_extensions import NotRequired, Required, TypedDict


class Status(str, enum.Enum):
    """What state
    it is in.
    """

    active = "active"
    gone = "gone"

    @property
    def nice(self) -> str:
        return self.value.title()


class Base(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    id: int
    created: datetime = datetime(2024, 1, 1)
    kind: ClassVar[str] = "base"
    _cache: dict = PrivateAttr(default_factory=dict)


class Child(Base):
    """Child doc."""

    name: str = Field("anon", max_length=10, description="who", examples=["bob"])
    created: date = date(2024, 5, 6)
    email_address: str = Field(alias="emailAddress")
    status: Status = Status.active
    scores: Dict[str, List[float]] = {}
    price: Annotated[Decimal, Field(gt=0)] = Decimal("1.0")
    token: Optional[SecretStr] = None
    ratio: float = Field(default=0.5, ge=0, le=1, title="The Ratio")
    old: int = Field(0, deprecated=True)
    extra_info: str = Field("", json_schema_extra={"ui": "big"})

    @field_validator("name")
    @classmethod
    def check(cls, value: str) -> str:
        return value

    @model_validator(mode="after")
    def whole(self):
        return self

    @computed_field
    @property
    def loud(self) -> str:
        return self.name.upper()

    def helper(self):
        return 1


class Tree(BaseModel):
    value: Any = None
    left: Optional[Tree] = None
    right: Optional[Tree] = None
    forest: Dict[str, List[Tree]] = Field(default_factory=dict)


class Cat(BaseModel):
    type: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    type: Literal["dog"]
    good: bool = True


class Owner(BaseModel):
    pet: Union[Cat, Dog]
    pets: list[Union[Cat, Dog]] = []
    favourite: Cat = Cat()
    maybe: Cat | None = Field(None, description="perhaps")


class Titled(BaseModel):
    """Doc of titled."""

    model_config = {"title": "A Title", "extra": "allow", "json_schema_extra": {"examples": [{"a": 1}]}}
    a: int
    URL: str = ""
    snake_case_name: int = 1
    camelCase: int = 2
    with2numbers3: int = 3


class Shadow(BaseModel):
    json: str = ""
    copy: int = 1
    schema: int = 2


class Wild:
    pass


class Arbitrary(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    wild: Wild
    maybe: Optional[Wild] = None


@dataclass
class Part:
    """A part."""

    name: str
    size: int = 3
    tags: List[str] = field(default_factory=list)
    inner: Optional[Part] = None


@dataclass(kw_only=True)
class Kit(Part):
    parts: tuple[Part, ...] = ()
    model: Cat = field(default_factory=Cat)


class Movie(TypedDict, total=False):
    """A movie."""

    title: Required[str]
    year: int
    cast: NotRequired[List[str]]


class Sequel(Movie):
    number: int


class Row(NamedTuple):
    """A row."""

    a: int
    b: Optional[str] = None
    c: Status = Status.gone


class Number(enum.IntEnum):
    ONE = enum.auto()
    TWO = enum.auto()
    TEN = 10
    UN = 1


class Mixed(enum.Enum):
    A = 1
    B = "b"
    C = (1, 2)
    D = None

    def describe(self):
        return self.name


class Text(enum.StrEnum):
    FIRST_ONE = enum.auto()
    SECOND = "2nd"


class Float(float, enum.Enum):
    HALF = 0.5


class Flagged(enum.Flag):
    A = 1


class Strict(BaseModel, extra="forbid", title="Very Strict"):
    a: int = 1
    b: "list[Strict]" = []
    c: "ClassVar[int]" = 3


class Stricter(Strict):
    """Inherits the title."""

    d: Status
    e: Literal[1, 2] | None = None
    f: tuple[int, Cat] | None = None
    g: "Optional[Text]" = None
    h: float = 1
    i: set[int] = {3, 1}
    j: bytes = b"x"
    k: Any = Field(default=None, title="Kay")


class Shadowed(BaseModel):
    date: Optional[date] = None


class Config(BaseModel):
    class Config:
        extra = "forbid"

    a: int = 1


class Empty(BaseModel):
    pass


@flow
def a(x: Base): ...
@flow
def b(x: Child, y: list[Child] | None = None): ...
@flow
def c(x: Tree): ...
@flow
def d(x: Owner): ...
@flow
def e(x: Titled): ...
@flow
def f(x: Shadow): ...
@flow
def g(x: Arbitrary): ...
@flow
def h(x: Part): ...
@flow
def i(x: Kit): ...
@flow
def j(x: Movie, y: Sequel): ...
@flow
def k(x: Row): ...
@flow
def l(x: Number = Number.TWO, y: Mixed = Mixed.C, z: Text = Text.FIRST_ONE, w: Float = Float.HALF): ...
@flow
def m(x: Flagged): ...
@flow
def n(x: Config): ...
@flow
def o(x: Empty = Empty()): ...
@flow
def p(x: Owner = Owner(pet=Dog(type="dog"))): ...
@flow
def q(x: Cat = Cat(lives=3), y: Dog = Dog(type="dog", good=False)): ...
@flow
def r(x: Part = Part("a", tags=["t"])): ...
@flow
def u(x: Union[Cat, Dog, None] = None, y: Dict[Status, Cat] = {}): ...
@flow
def v(x: Annotated[Union[Cat, Dog], Field(discriminator="type")]): ...
@flow
def w(x: list[Wild], y: Wild | None = None): ...
@flow
def x(base: Base, tree: Tree, kit: Kit, row: Row, movie: Movie): ...
@flow
def y(x: Stricter, y: Strict = Strict(a=2)): ...
@flow
def z(x: Shadowed): ...
@flow
def y2(x: type = Cat, y: Any = Status, z: Any = Status.gone, w: Any = {"s": Status.gone, "c": Cat()}): ...
