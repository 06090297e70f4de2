from datetime import datetime, timezone
from typing import Annotated, Optional

from pydantic import BaseModel, ConfigDict, Field

Money = Annotated[float, Field(ge=0, description="in euro")]


class Entity(BaseModel):
    """Anything with an id."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    id: int = Field(gt=0, description="Unique.")
    created: datetime = datetime(2024, 1, 1, tzinfo=timezone.utc)
    parent: Optional["Entity"] = None
