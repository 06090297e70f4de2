# try: f
from prefect import flow
from pydantic import BaseModel
class Wild: ...
class M(BaseModel):
    w: Wild
@flow
def f(x: M): ...
