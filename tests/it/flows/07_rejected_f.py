# try: f
from prefect import flow
from typing import TypedDict
class T(TypedDict):
    a: int
@flow
def f(x: T): ...
