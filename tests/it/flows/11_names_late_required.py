# try: f
from __future__ import annotations
from datetime import date
from prefect import flow
@flow
def f(date: date, other: int = 1): ...
