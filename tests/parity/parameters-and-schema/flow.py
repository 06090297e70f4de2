from prefect import flow


@flow
def typed(n: int, names: list[str] = [], maybe: int | None = None):
    pass
