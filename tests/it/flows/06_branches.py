# try: a b c d e g h i j k l
import sys
import os
from typing import Optional

from prefect import flow

try:
    from pydantic import BaseModel
except ImportError:
    BaseModel = object

try:
    import tomllib
except ImportError:
    tomllib = None

if sys.version_info >= (3, 9):
    Items = list[int]
else:
    from typing import List
    Items = List[int]

if os.getenv("DEBUG_FLOWS_X"):
    LIMIT = 1
else:
    LIMIT = 2

LIMITS = [1, 2]
LIMITS.append(3)
COUNTER = 0


def bump():
    global COUNTER
    COUNTER += 1


TOTAL = 1
TOTAL += 2
FIRST, *REST = (1, 2, 3)
X, Y = 4, "five"
for size in (1, 2):
    pass
with open(os.devnull) as handle:
    WITH = 3


class M(BaseModel):
    a: int = 1


@flow
def a(m: M): ...
@flow
def b(items: Items): ...
@flow
def c(limit: int = LIMIT): ...
@flow
def d(limits: list = LIMITS): ...
@flow
def e(counter: int = COUNTER): ...
@flow
def g(total: int = TOTAL, x: int = X, y: str = Y): ...
@flow
def h(size: int = size): ...
@flow
def i(size: int = WITH): ...
@flow
def j(size: int = FIRST): ...


VALUE = 1


@flow
def k(v: int = VALUE): ...


VALUE = 2

if True:
    @flow
    def l(v: int = VALUE): ...
