"""Whether Prefect's block classes take data, and the schemas that they register."""

import enum
import json
import sys
from typing import Any, Dict, List, Literal, Optional, Union

import prefect.blocks.notifications
import prefect.blocks.system
import prefect.blocks.webhook
import prefect.filesystems
from prefect.blocks.core import Block
from prefect.types import SecretDict
from prefect.utilities.dispatch import get_registry_for_type
from pydantic import BaseModel, Field, HttpUrl, SecretStr


class Mode(enum.Enum):
    A = "a"
    B = "b"


class Inner(BaseModel):
    x: int
    y: Optional[str] = None


class Sample(Block):
    _block_type_slug = "sample"

    text: str
    port: int = 1
    maybe: Optional[int] = None
    ratio: float = 0.5
    tls: bool = True
    mode: Mode = Mode.A
    word: Literal["p", "q"] = "p"
    password: Optional[SecretStr] = None
    sealed: Optional[SecretDict] = None
    names: List[str] = Field(default_factory=list)
    counts: Dict[str, int] = Field(default_factory=dict)
    either: Union[int, List[str], None] = None
    inner: Optional[Inner] = None
    inners: List[Inner] = Field(default_factory=list)
    anything: Any = None
    short: str = Field(default="a", max_length=3)
    small: int = Field(default=1, ge=0, le=9)
    url: Optional[HttpUrl] = None


def main() -> None:
    classes = dict(get_registry_for_type(Block), sample=Sample)
    answers = []
    for text in json.load(sys.stdin):
        case = json.loads(text)
        block = classes[case["slug"]]
        if "data" not in case:
            answers.append(block.model_json_schema())
            continue
        try:
            block.model_validate(case["data"])
            answers.append(True)
        except Exception:
            answers.append(False)
    json.dump(answers, sys.stdout)


main()
