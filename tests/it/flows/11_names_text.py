# try: f g
from datetime import date
from prefect import flow
@flow
def f(date: "date"): ...
@flow
def g(day: date): ...
