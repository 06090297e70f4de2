from prefect import flow

from .local import Near
from helpers.far import Far
from local import SIZE


@flow
def relative(n: Near): ...
@flow
def absolute(f: Far, size: int = SIZE): ...
@flow
def both(n: Near, f: Far): ...
