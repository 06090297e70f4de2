# try: f
from prefect import flow
@flow(version=1.5, description=None)
def f(x: "int | 'str'" = 1): ...
