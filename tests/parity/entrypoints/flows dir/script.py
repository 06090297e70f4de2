from prefect import flow
from beside import VALUE


@flow(description=VALUE)
def etl():
    pass
