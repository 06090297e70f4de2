from prefect import flow


@flow
def hello(name: str = "world", times: int = 1):
    """Greet somebody."""


@flow
def silent():
    pass
