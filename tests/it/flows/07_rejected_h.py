# try: f
from prefect import flow
@flow
def f(x: int, model_dump: int = 1): ...
