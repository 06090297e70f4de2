from prefect import flow


@flow(name="a/b")
def slash():
    pass
