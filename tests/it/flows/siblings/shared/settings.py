from typing import Literal

Region = Literal["eu", "us"]
REGION: Region = "eu"
