"""Ways to damage a file, drawn at random: of any file, of FITS cards, of text."""

from collections.abc import Callable

import numpy as np

CARD, BLOCK = 80, 2880

VALUES = (
    "T",
    "F",
    "0",
    "-1",
    "2",
    "999",
    "99999999",
    "2147483647",
    "-2147483648",
    "1e308",
    "-1e-320",
    "2.5.5",
    "NAN",
    "INF",
    "''",
    "'TeV**999'",
    "'m(('",
    "'XYZ'",
    "'1PE(99999)'",
    "'999999D'",
    "'-5D'",
    "'(3,3,3)'",
    "'((('",
    "'é'",
    "' ' / a comment",
    "(1.0, 2.0)",
    "0xFF",
    "'unclosed",
)
"""What stands in a card instead of its value."""

TEXTS = (
    "",
    "null",
    "~",
    "[]",
    "{}",
    "[[[[]]]]",
    "-1",
    "0",
    "1e999",
    ".nan",
    "0xfff",
    "0o7",
    "1_000",
    "12:30:45",
    "2024-01-01",
    "true",
    "!!python/object:os.system {}",
    "&a [*a]",
    "*b",
    "'",
    '"',
    "\t",
    "\x00",
    "é☉\U0001f600",
    "TeV**999",
    "nan TeV",
    "a" * 5000,
    "../../../../etc/passwd",
    "/dev/zero",
    "..",
    ".",
    "file:///etc/passwd",
    "http://localhost:1/x",
)
"""What stands in a text instead of a word."""

Damage = Callable[[bytes, np.random.Generator], bytes]


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bits are others."""
    out = bytearray(data)
    for place in rng.integers(len(out), size=int(rng.integers(1, 9))):
        out[place] ^= 1 << int(rng.integers(8))
    return bytes(out)


def replaced(data: bytes, rng: np.random.Generator) -> bytes:
    """A stretch is noise, zeros, or 0xFF."""
    start, length = int(rng.integers(len(data))), int(rng.integers(1, 64))
    filling = (rng.bytes(length), b"\0" * length, b"\xff" * length)[int(rng.integers(3))]
    return data[:start] + filling[: len(data) - start] + data[start + length :]


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing, at a block's or anywhere."""
    end = int(rng.integers(len(data)))
    return data[: end // BLOCK * BLOCK] if rng.random() < 0.5 else data[:end]


def lost(data: bytes, rng: np.random.Generator) -> bytes:
    """A block, or some bytes, are missing, or there twice."""
    size = BLOCK if rng.random() < 0.5 else int(rng.integers(1, 100))
    start = int(rng.integers(len(data))) // size * size
    return data[:start] + (data[start : start + size] * 2 if rng.random() < 0.5 else b"") + data[start + size :]


def card_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """Header cards have other values, have gone, or stand there twice."""
    places = [i for i in range(0, len(data) - CARD, CARD) if data[i + 8 : i + 10] == b"= "]
    out = bytearray(data)
    for place in rng.choice(places, size=int(rng.integers(1, 3))) if places else []:
        kind = rng.random()
        if kind < 0.75:
            value = VALUES[int(rng.integers(len(VALUES)))].encode("latin-1")
            out[place + 10 : place + CARD] = value.rjust(20).ljust(CARD - 10)[: CARD - 10]
        elif kind < 0.85:
            out[place : place + CARD] = b" " * CARD
        else:
            other = int(rng.choice(places))
            out[place : place + CARD] = out[other : other + CARD]
    return bytes(out)


def word_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """Words of a text are others."""
    text = data.decode("utf-8", "replace")
    starts = [i for i in range(1, len(text)) if text[i].isalnum() and not text[i - 1].isalnum()]
    for _ in range(int(rng.integers(1, 3))):
        if not starts:
            break
        start = int(rng.choice(starts))
        end = start
        while end < len(text) and (text[end].isalnum() or text[end] in "._-+"):
            end += 1
        text = text[:start] + TEXTS[int(rng.integers(len(TEXTS)))] + text[end:]
        starts = [i for i in starts if i < start]
    return text.encode("utf-8", "replace")


def line_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """Lines have gone, stand there twice, or are indented otherwise."""
    lines = data.split(b"\n")
    place = int(rng.integers(len(lines)))
    kind = int(rng.integers(4))
    lines[place : place + 1] = (
        [],
        [lines[place]] * 2,
        [b"  " + lines[place]],
        [lines[place].lstrip()],
    )[kind]
    return b"\n".join(lines)


ANY: tuple[Damage, ...] = (flipped, replaced, cut, lost)
FITS: tuple[Damage, ...] = (*ANY, card_changed, card_changed, card_changed, card_changed)
TEXT: tuple[Damage, ...] = (*ANY, word_changed, word_changed, line_changed)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The content of a file, damaged in one way."""
    ways = FITS if data.startswith(b"SIMPLE") else TEXT
    return ways[int(rng.integers(len(ways)))](data, rng) or b" "
