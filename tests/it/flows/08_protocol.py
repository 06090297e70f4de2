# try: f
from typing import Protocol
from prefect import flow
class Proto(Protocol):
    def run(self) -> int: ...
@flow
def f(x: Proto): ...
