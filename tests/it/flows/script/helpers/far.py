from dataclasses import dataclass
@dataclass
class Far:
    b: str
