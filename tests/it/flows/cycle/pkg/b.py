from prefect import flow
from pkg.a import A
import pkg.a as first
class B(A):
    a: A = A()
    b: "B | None" = None
@flow
def g(b: B, a: first.A = A(n=3)): ...
