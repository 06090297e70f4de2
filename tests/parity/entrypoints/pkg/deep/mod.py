from prefect import flow

from ..util import LIMIT


@flow
def nested(limit: int = LIMIT):
    """In a package."""
