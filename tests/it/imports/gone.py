from prefect import flow


@flow
def gone():
    pass
