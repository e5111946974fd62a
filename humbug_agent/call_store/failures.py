"""How a store of calls fails those who ask it."""


class CantAnswer(Exception):
    """The store can't answer now; the text says which file or server, why, and what to do."""
