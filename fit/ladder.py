"""Sizes rounded up to a short ladder, so that programs are shared by problems of similar size."""


def bins_rung(n: int) -> int:
    """Smallest of 8, 12, 16, 24, 32, 48, 64, 96, ... that holds ``n`` bins: at most a third is padding."""
    size = 8
    while size < n:
        if size * 3 // 2 >= n:
            return size * 3 // 2
        size *= 2
    return size


def batch_rung(n: int) -> int:
    """Smallest rung that holds ``n`` datasets: 1, 2, 3, 4, 6, 8, 12, ... 64, then four an octave (80, 96, 112, ...)."""
    size = 1
    while size < n and size < 64:
        if size > 1 and size * 3 // 2 >= n:
            return size * 3 // 2
        size *= 2
    if size >= n:
        return size
    step = 16
    while step * 8 < n:
        step *= 2
    return -(-n // step) * step


def fine_rung(n: int) -> int:
    """Smallest rung that holds ``n`` maps, where each costs much: all numbers up to 16, then eight an octave."""
    step = 1
    while step * 16 < n:
        step *= 2
    return -(-n // step) * step
