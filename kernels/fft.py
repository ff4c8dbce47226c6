"""Sizes for fast Fourier transforms."""


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
