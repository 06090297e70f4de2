"""Two flows that greet and count."""

from prefect import flow


@flow(log_prints=True)
def hello(name: str = "world", politely: bool = True) -> str:
    """Greet somebody.

    Args:
        name: Who is greeted.
        politely: Whether a good day is wished as well.
    """
    greeting = f"Hello, {name}!" + (" Have a good day." if politely else "")
    print(greeting)
    return greeting


@flow(log_prints=True)
def count(upto: int = 10) -> int:
    """Count from one.

    Args:
        upto: The last number.
    """
    for number in range(1, upto + 1):
        print(number)
    return upto
