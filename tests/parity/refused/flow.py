from prefect import flow, task


@flow
def etl(n: int = 1):
    pass


@task
def job():
    pass


number = 5
