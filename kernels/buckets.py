"""Sizes rounded to few values, so that problems of similar sizes share compiled programs."""

import math


def round_up(value: float, per_octave: int) -> float:
    """``value`` rounded up to a power of 2^(1 / per_octave)."""
    return float(2.0 ** (math.ceil(per_octave * math.log2(value) - 1e-9) / per_octave))


def round_down(value: float, per_octave: int) -> float:
    """``value`` rounded down to a power of 2^(1 / per_octave)."""
    return float(2.0 ** (math.floor(per_octave * math.log2(value) + 1e-9) / per_octave))


def bins_bucket(n: int) -> int:
    """Smallest of 8, 12, 16, 24, 32, 48, 64, 96, ... that holds ``n`` bins: at most a third is padding."""
    size = 8
    while size < n:
        if size * 3 // 2 >= n:
            return size * 3 // 2
        size *= 2
    return size


def batch_bucket(n: int) -> int:
    """Smallest bucket that holds ``n`` datasets: 1, 2, 3, 4, 6, 8, 12, ... 64, then four an octave (80, 96, ...)."""
    size = 1
    while size < n and size < 64:
        if size > 1 and size * 3 // 2 >= n:
            return size * 3 // 2
        size *= 2
    return size if size >= n else _octave(n, 8)


def fine_bucket(n: int) -> int:
    """Smallest bucket that holds ``n`` maps, where each costs much: all numbers up to 16, then eight an octave."""
    return _octave(n, 16)


def _octave(n: int, steps: int) -> int:
    """``n`` rounded up to a multiple of a power of 2, of which at most ``steps`` are needed."""
    step = 1
    while step * steps < n:
        step *= 2
    return -(-n // step) * step


def fast_size(n: int) -> int:
    """Smallest even number not below ``n`` without prime factors above 5: Fourier transforms of it are fast."""
    size = n + n % 2
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 2
