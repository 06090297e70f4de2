# try: f
from prefect import flow
def f(x: int:
    pass
