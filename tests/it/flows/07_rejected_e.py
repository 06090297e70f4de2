# try: f
from prefect import flow
@flow(nam="x")
def f(x: int): ...
