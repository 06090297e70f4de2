# try: adopt feed walk groom visits shelter both
"""Discriminated unions, as pydantic writes them."""
from typing import Annotated, Dict, List, Literal, Optional, Union

from prefect import flow
from pydantic import BaseModel, Field


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    """Good."""

    kind: Literal["dog", "puppy"] = "dog"
    tricks: List[str] = []


class Fish(BaseModel):
    kind: Literal["fish"] = Field(alias="type")
    water: Literal["salt", "sweet"] = "sweet"


Pet = Annotated[Union[Cat, Dog], Field(discriminator="kind")]
Animal = Annotated[Cat | Dog, Field(discriminator="kind", description="any animal", title="Animal")]


class Shelter(BaseModel):
    pets: List[Pet]
    star: Pet
    maybe: Optional[Pet] = None
    by_name: Dict[str, Animal] = Field(default_factory=dict)
    guard: Union[Cat, Dog] = Field(discriminator="kind", description="at night")
    spare: Union[Cat, Dog, None] = Field(None, discriminator="kind")


class Visit(BaseModel):
    shelter: Shelter
    pet: Pet = Cat(kind="cat")


@flow
def adopt(pet: Pet): ...
@flow
def feed(pets: List[Pet], one: Optional[Pet] = None): ...
@flow
def walk(pet: Union[Cat, Dog] = Field(discriminator="kind"), animal: Animal = None): ...
@flow
def groom(pets: Dict[str, Annotated[Union[Cat, Dog], Field(discriminator="kind")]]): ...
@flow
def visits(visit: Visit, more: list[Visit] = []): ...
@flow
def shelter(shelter: Shelter): ...
@flow
def both(pet: Annotated[Union[Annotated[Union[Cat, Dog], Field(discriminator="kind")], Fish], Field(description="x")]): ...
