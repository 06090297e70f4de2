SIZE = 12
NAMES = ("a", "b")
