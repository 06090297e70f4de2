from prefect import flow

@flow
def hello(_secret: int = 1):
    pass
