import flows.common as common
import lib.enums
from flows import constants
from flows.common import ExportedSettings, models
from flows.common.models import make as reexported
from lib.enums import Colour as C
from lib.stars import *
from lib.wraps import logged
from prefect import flow


@flow
def run(s: ExportedSettings, c: C = C.GREEN, d: models.Deep | None = None, e: lib.enums.Colour = lib.enums.Colour.RED,
        size: int = constants.SIZE, names: tuple = constants.NAMES, f: common.models.Settings | None = None):
    """Runs."""


aliased = reexported.with_options(name="aliased")


@flow
@logged
def wrapped(a: int = 1):
    "W."


other = flow(logged(run.fn), name="other")


@flow
def thirdparty(a: int, b: int = 2): ...


@flow
def starred(s: Star = Star.SUN, n: int = LIMIT): ...
