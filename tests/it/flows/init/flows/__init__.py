from prefect import flow
from .deep import Size
@flow
def run(size: Size = Size.S): ...
