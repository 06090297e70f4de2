# try: f
from prefect import flow
@flow
def f(x: int, return_state: bool = False): ...
