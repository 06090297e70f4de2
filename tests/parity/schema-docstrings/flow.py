from prefect import flow


@flow
def google(a: int, b: str = "x", c=None):
    """Does things.

    More about it,
    in two lines.

    Args:
        a: the first
        b (str): the second,
            continued
            here: and here
        c (int, optional): the third

    Returns:
        nothing
    """


@flow
def two_spaces(a, b):
  """Sum.

  Parameters:
    a: one
    b: two
  """


@flow
def numpy(a, b):
    """Sum.

    Parameters
    ----------
    a : int
        one
    """


@flow
def sphinx(a):
    """Sum.

    :param a: one
    """


@flow(description="given")
def described(a):
    """Ignored.

    Args:
        a: kept
    """


@flow
def args_first(a):
    """Args:
        a: nothing
    """


@flow
def tabs(a):
    """
	Tabbed.

	Arguments:
		a: with tabs
    """


@flow
def several(a, b):
    """X.

    Args:
        a: first section

    Args:
        b: second section
    """


@flow
def raw(a):
    r"""Raw \d.

    Params:
        a: back\slash
        unknown: not a parameter
    """


@flow
def blank():
    """   """


@flow(description="")
def empty_description():
    """Falls back."""
