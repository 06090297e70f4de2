from prefect import flow


@flow
def private(_x):
    pass
