from enum import Enum
from prefect import flow
class Size(Enum):
    S = 1
@flow
def deep(size: Size): ...
def parent():
    from .. import run
    return run
