# try: a b c d e g h i j k l m n o
from prefect import flow as f


@f
def a(x, y):
    """Summary.

    Args:
        x: the x
        y: the y

            after a blank
    """


@f
def b(x, y):
    """Summary.
    Args:
        x: no blank line above
    """


@f
def c(x, y):
    """Summary.

    Parameters:

        x: blank line below the title
        y: more
    """


@f
def d(x, y):
    """Summary.

    ```
    Args:
        x: in code
    ```

    Args:
        y: after code
    """


@f
def e(x, y):
    """Summary.

    Note:
        Something.

    Args:
      x (int): two spaces
      y: and

    Example:
        >>> e(1)

    Examples:
        text

        Args: inside
    """


@f
def g(x, y):
    """Args:
    x: unindented
    """


@f
def h(x, y):
    'Single quotes.\n\n\tArgs:\n\t\tx: tabs\n'


@f
def i(*args, **kwargs):
    """S.

    Args:
        *args: starred
        args: plain
        kwargs: keyword things: with colon
    """


@f
def j(x, y):
    """S.

    Args: with a title
        x: titled

    Other Parameters:
        y: other

    Args:
        not a pair
    """


@f
def k(x):
    ("Joined "
     "doc.")


@f
def l(x):
    f"no doc {1}"


@f
def m(x):
    """"""


@f(description="")
def n(x):
    """Kept."""


@f
def o(x: int = 1, y: str = ""):
    """Multi.

    Attributes:
        x: attr

    Params:
        x : spaced name
        y(str): tight
          odd indent
            deeper
              deepest

    Yields:
        x: yielded
    """
