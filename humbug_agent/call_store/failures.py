"""The exception by which a store of calls says that it can't answer; apart, for it is all that many need of it."""


class CantAnswer(Exception):
    """The store can't answer now; the text says which file or server, why, and what to do."""
