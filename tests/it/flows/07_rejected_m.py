# try: e
from typing import Dict, List, TypeAlias, Union

from prefect import flow

Json: TypeAlias = "Union[Dict[str, Json], List[Json], str, int, None]"


@flow
def e(j: Json = None): ...
