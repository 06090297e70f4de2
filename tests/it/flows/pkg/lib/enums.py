from enum import Enum


class Colour(Enum):
    """A colour."""

    RED = "red"
    GREEN = "green"
