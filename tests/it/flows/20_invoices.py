# try: load_invoices close_month InvoiceJobs.resend
"""Invoices: PEP 604 and 585 everywhere, a few constants, methods."""
from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prefect import flow, get_run_logger, task
from prefect.tasks import task_input_hash

if TYPE_CHECKING:
    import pandas as pd
    from decimal import Decimal

logger = logging.getLogger(__name__)

BASE_DIR = Path("/var/data")
OUT_DIR = BASE_DIR / "out"
CHUNK = 10_000
TAX_RATES: dict[str, float] = {"de": 0.19, "fr": 0.2}
STATES = ("open", "paid", "void")
DEFAULT_STATE = STATES[0]


@task(retries=3, cache_key_fn=task_input_hash, cache_expiration=timedelta(hours=1))
def read(path: Path) -> list[dict[str, Any]]:
    return []


@task
def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)


@flow(name="Load invoices", log_prints=True, retries=2, retry_delay_seconds=30)
def load_invoices(
    source: Path = BASE_DIR / "invoices.csv",
    target: str | Path = str(OUT_DIR),
    rates: Mapping[str, float] = TAX_RATES,
    states: Sequence[str] = STATES,
    state: Literal["open", "paid", "void"] | None = DEFAULT_STATE,
    since: date | datetime | None = None,
    chunk: int = CHUNK // 4,
    dry_run: bool = False,
) -> int:
    """Load invoices from disk.

    Rows that cannot be read are put aside.

    Args:
        source: where the file is
        target: where to put
            the result
        rates (Mapping[str, float]): tax rates by country
        state: only these
        chunk: rows per write
    """
    rows = read(source)
    for _ in range(3):
        frame(rows)
    return len(rows)


@flow
def close_month(
    year: int,
    month: int,
    /,
    *accounts: str,
    force: bool = False,
    limits: dict[str, tuple[int, int]] | None = None,
    **options: Any,
) -> None:
    """Close a month.

    :param year: the year
    :param month: the month
    :param force: even if something is open
    """


class InvoiceJobs:
    retries = 3

    def __init__(self, root: Path) -> None:
        self.root = root

    @flow(name="resend")
    def resend(self, ids: Iterable[int], wait: timedelta = timedelta(minutes=5)) -> None:
        """Resend some."""


if __name__ == "__main__":
    load_invoices.serve(name="dev", parameters={"dry_run": True})
