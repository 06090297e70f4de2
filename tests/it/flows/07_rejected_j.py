# try: f
from prefect import flow
@flow(name=3)
def f(x: int): ...
