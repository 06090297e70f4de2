from pydantic import BaseModel
class M(BaseModel):
    two: int
