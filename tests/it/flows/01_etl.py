# try: etl etl_daily extract load_table _hidden renamed typo_flow not_a_flow Config
"""A typical pipeline."""
import logging
import os
from datetime import date, datetime, timedelta
from typing import Any, Dict, List, Optional

from prefect import flow, get_run_logger, task
from prefect.task_runners import ThreadPoolTaskRunner

logger = logging.getLogger(__name__)
DEFAULT_TABLES = ["orders", "customers"]
BATCH_SIZE = 1_000
RETRIES: int = 3
API_URL = os.environ.get("API_URL", "http://localhost")


@task(retries=3, retry_delay_seconds=10)
def extract(table: str) -> List[Dict[str, Any]]:
    """Reads a table."""
    return []


@task
async def load_table(rows):
    ...


class Config:
    chunk = 10


@flow(name="ETL Pipeline", log_prints=True, retries=RETRIES, task_runner=ThreadPoolTaskRunner(max_workers=4))
def etl(
    start: Optional[date] = None,
    end: Optional[datetime] = None,
    tables: List[str] = DEFAULT_TABLES,
    batch_size: int = BATCH_SIZE,
    window: timedelta = timedelta(hours=1),
    options: Dict[str, Any] | None = None,
    chunk: int = Config.chunk,
    dry_run: bool = False,
) -> None:
    """Loads the warehouse.

    Longer text here.

    Args:
        start: first day; defaults to yesterday
        end (datetime): last moment,
            on a second line
        tables: which tables
        batch_size (int, optional): rows at a time: at least one
        unknown: no such parameter

    Returns:
        None

    Raises:
        ValueError: if it goes wrong
    """
    logger = get_run_logger()
    logger.info("hello")


@flow(name="etl-" + "daily", description="Every day", version="2024.1")
async def etl_daily(day: date):
    """Ignored."""


@flow
def _hidden(a: int = 1):
    """
    Hidden.

        Indented more.
    """


renamed = etl.with_options(name="renamed etl", description="other", version="9")
not_a_flow = 3

if __name__ == "__main__":
    etl.serve(name="x")
