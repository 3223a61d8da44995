"""Many things cut into pieces."""


def pieces(n: int, step: int) -> list[slice]:
    """Cut n things into pieces of so many; the last one may be shorter."""
    return [slice(at, min(at + step, n)) for at in range(0, n, step)]
