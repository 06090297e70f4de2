from prefect import flow
from somewhere import wrap


@flow
@wrap
def odd(x=1):
    pass
