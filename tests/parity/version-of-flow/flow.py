from prefect import flow


@flow(version="f1")
def etl():
    pass


@flow
def hashed():
    pass
