# try: f
from prefect import flow
from dataclasses import dataclass
@dataclass
class D:
    a: list = []
@flow
def f(x: D): ...
