from pydantic import BaseModel
class M(BaseModel):
    one: int
