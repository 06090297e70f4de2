from prefect import flow

@flow(name="etl/nightly")
def hello():
    pass
