from prefect import flow, task


@flow
def etl(n: int = 1):
    pass


@flow(name="a/b")
def slash():
    pass


@flow
def private(_x):
    pass


@task
def job():
    pass


number = 5
