# try: f
from prefect import flow

@flow
def f(x: int = 1):
    """Doc.

    Args:
        x: the x
            more
    """
