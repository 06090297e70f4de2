# try: train evaluate tune serve_model batch
"""Models: nested settings, inherited, in one file."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Union

from prefect import flow, task
from pydantic import BaseModel, Field, PositiveInt, field_serializer

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.base import BaseEstimator


class Settings(BaseModel, frozen=True):
    seed: int = 42
    device: Literal["cpu", "cuda"] = "cpu"


class Optimiser(BaseModel):
    kind: str
    lr: Annotated[float, Field(gt=0, lt=1, description="rate")] = 1e-3


class Adam(Optimiser):
    kind: Literal["adam"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)


class Sgd(Optimiser):
    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(0.0, ge=0)


AnyOptimiser = Annotated[Union[Adam, Sgd], Field(discriminator="kind")]


class Training(Settings):
    """How to train."""

    epochs: PositiveInt = 10
    optimiser: AnyOptimiser = Adam()
    data: Path = Path("data") / "train.parquet"
    layers: list[int] = [64, 32]
    tags: dict[str, str | int] = {}

    @field_serializer("data")
    def write(self, v: Path) -> str:
        return str(v)


class Scorer(Protocol):
    def __call__(self, a: Any, b: Any) -> float: ...


@task
def load(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


@flow(persist_result=True)
def train(training: Training, resume_from: Path | None = None) -> dict[str, float]:
    """Train a model."""
    return {}


@flow
def evaluate(model: str, metrics: list[Literal["f1", "auc"]] = ["f1"], threshold: float = 0.5): ...


@flow
def tune(grid: dict[str, list[float]], base: Training | None = None, trials: int = 2**5): ...


@flow
def serve_model(name: str, port: Annotated[int, Field(ge=1024, le=65535)] = 8000, *, reload: bool = False): ...


@flow
def batch(inputs: list[Path], optimiser: AnyOptimiser = None, size: int = 1_000): ...
