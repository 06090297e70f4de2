"""A flow that greets with the words of its environment."""

import os

from prefect import flow


@flow(log_prints=True)
def greet(name: str = "world") -> str:
    """Greet somebody.

    Args:
        name: Who is greeted.
    """
    greeting = f"{os.environ.get('GREETING', 'Hello')}, {name}!"
    print(greeting)
    return greeting
