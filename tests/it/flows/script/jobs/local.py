from pydantic import BaseModel
SIZE = 3
class Near(BaseModel):
    a: int = SIZE
