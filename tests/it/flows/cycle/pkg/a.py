from __future__ import annotations
from typing import TYPE_CHECKING, Optional
from prefect import flow
from pydantic import BaseModel
if TYPE_CHECKING:
    from pkg.b import B
class A(BaseModel):
    n: int = 1
    me: Optional[A] = None
@flow
def f(a: A, n: int = 1, o: Optional[A] = None): ...
