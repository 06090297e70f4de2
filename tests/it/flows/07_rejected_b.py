# try: f
from prefect import flow
@flow
def f(x: int, _y: int = 1): ...
