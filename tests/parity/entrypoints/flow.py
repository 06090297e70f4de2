import helper
from prefect import flow

PREFIX = "named"


@flow
def etl(x: int = 1):
    """At the top."""


@flow(name=f"{PREFIX} {helper.SUFFIX}")
def computed():
    pass


@flow
async def later(x: str, y: list[int] = [1]):
    """Asynchronous."""


class Jobs:
    @staticmethod
    @flow
    def static(a: int):
        pass

    @classmethod
    @flow
    def of_class(cls, a: int = 2):
        pass

    @flow
    def of_instance(self, a: float = 0.5):
        """A method."""


renamed = etl.with_options(name="renamed", description="other words", version="7")


@flow
def my__odd_name():
    pass


if True:

    @flow
    def conditional():
        pass
