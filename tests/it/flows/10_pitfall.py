# try: f
from datetime import date
from typing import Optional
from prefect import flow
from pydantic import BaseModel
class Pitfall(BaseModel):
    date: Optional[date] = None
@flow
def f(p: Pitfall): ...
