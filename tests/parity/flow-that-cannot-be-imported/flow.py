import not_installed_anywhere
from prefect import flow

LIMIT = 5
ANNOTATED: int = 6


@flow(version="3")
def pinned(x: int = LIMIT, y: not_installed_anywhere.Thing = None):
    """Of a file that does not import."""


@flow
def etl(x: int = LIMIT, z=not_installed_anywhere.DEFAULT):
    pass


@flow
async def later(x: int = ANNOTATED, y: not_installed_anywhere.Thing = 1):
    """Asynchronous."""
