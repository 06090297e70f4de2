from prefect import flow


@flow
def hello(name: str = "world", times: int = 1):
    """Says hello."""


@flow(name="Nightly ETL", description="Loads everything.")
def etl(day: str | None = None):
    pass
