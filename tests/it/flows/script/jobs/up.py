from prefect import flow
from ..helpers.far import Far
@flow
def f(x: Far): ...
