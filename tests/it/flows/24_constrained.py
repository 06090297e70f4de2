# try: numbers texts lists special dates urls secrets factories strict fields
"""Constrained and special types of pydantic."""
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Annotated, Any, List, Optional, Set
from uuid import UUID, uuid4

import annotated_types as at
from annotated_types import Gt, Interval, Len, Lt, MinLen, MultipleOf
from prefect import flow
from pydantic import (UUID4, AmqpDsn, AnyHttpUrl, AwareDatetime, BaseModel, ByteSize, DirectoryPath, Field, FilePath,
                      FutureDate, HttpUrl, IPvAnyAddress, Json, NegativeInt, NonNegativeFloat, PastDatetime, PaymentCardNumber,
                      PositiveInt, PostgresDsn, RedisDsn, SecretBytes, SecretStr, Strict, StrictBool, StrictInt, StrictStr,
                      StringConstraints, UrlConstraints, conbytes, condate, condecimal, confloat, conint, conlist, conset,
                      constr)

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$", min_length=3, max_length=40, to_lower=True)]
Percent = Annotated[float, Field(ge=0, le=100, description="per cent")]
Port = conint(ge=1, le=65535)


class Limits(BaseModel):
    port: Port = 8080
    share: Percent = 50.0
    slug: Slug
    cards: conlist(int, min_length=1, max_length=3) = [1]
    when: AwareDatetime | None = None
    id: UUID = Field(default_factory=uuid4)
    size: ByteSize = ByteSize(1024)
    cost: condecimal(max_digits=5, decimal_places=2, gt=0) = Decimal("1.50")
    tags: Set[Slug] = Field(default_factory=set, max_length=5)


@flow
def numbers(
    a: PositiveInt = 1,
    b: Annotated[int, Gt(0), Lt(10)] = 5,
    c: Annotated[int, Interval(ge=0, lt=100)] = 3,
    d: Annotated[float, MultipleOf(0.5)] = 1.5,
    e: confloat(gt=0, le=1) = 0.5,
    f: Annotated[Decimal, Field(max_digits=5, decimal_places=2)] = Decimal("2"),
    g: conint(multiple_of=5) = 10,
    h: NegativeInt = -1,
    i: NonNegativeFloat = 0.0,
): ...
@flow
def texts(a: Slug = "abc", b: constr(strip_whitespace=True, min_length=1) = "x", c: Annotated[str, MinLen(2)] = "xy", d: Annotated[str, Len(1, 5)] = "a", e: Annotated[str, at.MaxLen(3)] = "", f: conbytes(max_length=3) = b"a"): ...
@flow
def lists(a: conlist(int, min_length=2), b: conset(str, max_length=3) = {"a"}, c: Annotated[List[Slug], Len(1)] = ["abc"], d: Annotated[list[int], Field(min_length=1, max_length=3)] = [1]): ...
@flow
def special(a: FilePath, b: DirectoryPath, c: IPvAnyAddress, d: ByteSize, e: Json[dict[str, int]], f: UUID4, g: Json = None): ...
@flow
def dates(a: FutureDate, b: PastDatetime, c: AwareDatetime, d: condate(gt=date(2020, 1, 1))): ...
@flow
def urls(a: HttpUrl = "https://example.org", b: AnyHttpUrl = None, c: PostgresDsn = "postgresql://u:p@h/db", d: Optional[RedisDsn] = None, e: AmqpDsn = None): ...
@flow
def secrets(a: SecretStr, b: SecretBytes = b"x", c: SecretStr | None = None, d: SecretStr = SecretStr("")): ...
@flow
def factories(limits: Limits, ids: List[UUID] = Field(default_factory=list), now: datetime = Field(default_factory=datetime.now)): ...
@flow
def strict(a: StrictInt, b: StrictStr, c: StrictBool = True, d: Annotated[int, Strict()] = 1, e: Annotated[int, Field(strict=True)] = 1): ...
@flow
def fields(
    a: int = Field(default=1, ge=0, description="a number", title="A number", examples=[1]),
    b: str = Field(..., min_length=1),
    c: list[int] = Field([1, 2], json_schema_extra={"ui": "slider"}),
    d: Annotated[int, Field(description="kept?", gt=0)] = 1,
    e: Annotated[int, Field(default=3)] = 4,
): ...
