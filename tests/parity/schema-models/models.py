import dataclasses
import enum
from typing import List, NamedTuple, NewType, Optional

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(int, enum.Enum):
    """How much."""

    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    A = 1
    B = "b"


class Inner(BaseModel):
    """Within."""

    model_config = ConfigDict(extra="forbid")
    x_value: int = Field(1, gt=0, description="an x")
    names: List[str] = Field(default_factory=list)


class Outer(BaseModel):
    inner: Inner
    maybe: Optional[Inner] = None
    color: Color = Color.RED
    aliased: str = Field("a", alias="theAlias")
    me: Optional["Outer"] = None

    @field_validator("aliased")
    def check(cls, v):
        return v


@dataclasses.dataclass
class Data:
    a: int
    b: str = "b"


class Pair(NamedTuple):
    left: int
    right: str = "r"


UserId = NewType("UserId", int)
