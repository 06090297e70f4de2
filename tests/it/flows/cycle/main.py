from prefect import flow
import pkg.a, pkg.b
from pkg.a import f
from pkg import b as bee
@flow
def h(a: pkg.a.A, b: pkg.b.B, c: bee.B | None = None): ...
class Config:
    flows = {"late": bee.g}
late = Config.flows["late"]
