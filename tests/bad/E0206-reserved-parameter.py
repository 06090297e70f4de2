from prefect import flow

@flow
def hello(return_state: bool = False):
    pass
