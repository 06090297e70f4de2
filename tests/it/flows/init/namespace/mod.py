from prefect import flow
from namespace.other import Thing
from . import other
@flow
def ns(t: Thing, n: int = other.N): ...
