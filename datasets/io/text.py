r"""Text of any language in FITS, which knows printable ASCII only: other letters become \xe4, \u2609 or \U0001f600.

Programs that do not know of it show these; `from_ascii` gives the text back.
"""

import re

import numpy as np

ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def to_ascii(text: str) -> str:
    """The text in printable ASCII; text that is so already, and holds no escape by chance, stays as it is."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    text = ESCAPE.sub(lambda match: "\\x5c" + match[0][1:], text)
    return "".join(letter if " " <= letter <= "~" else _escaped(letter) for letter in text)


def from_ascii(text: str) -> str:
    """The text that `to_ascii` wrote."""
    return ESCAPE.sub(lambda match: chr(int(match[0][2:], 16)), text) if "\\" in text else text


def texts_to_ascii(texts: np.ndarray) -> np.ndarray:
    """`to_ascii` of every element."""
    return np.array([to_ascii(text) for text in texts.ravel().tolist()], dtype=str).reshape(texts.shape)


def texts_from_ascii(texts: np.ndarray) -> np.ndarray:
    """`from_ascii` of every element; arrays without an escape are given back."""
    if not np.any(np.char.find(texts, "\\") >= 0):
        return texts
    return np.array([from_ascii(text) for text in texts.ravel().tolist()], dtype=str).reshape(texts.shape)


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cell_of(name: str) -> str:
    """A name as a cell of a table between bars: bars, breaks of lines and spaces at its ends as escapes."""
    ends = len(name) - len(name.lstrip(" ")), len(name.rstrip(" "))
    return "".join(
        c if c.isprintable() and c != "|" and (c != " " or ends[0] <= i < ends[1]) else _escaped(c)
        for i, c in enumerate(name)
    )
