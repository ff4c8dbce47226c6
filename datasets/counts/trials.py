"""What a dataset sees of a source at any of its pixels."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Trials(NamedTuple):
    """``kernels`` (n, n_reco, w, w) times ``seen`` (n_reco, ny, nx) around a pixel, which is the middle of a kernel,
    are the counts that a source there sends to the pixels of a map."""

    kernels: Float[np.ndarray, "n n_reco w w"]
    seen: Float[np.ndarray, "n_reco ny nx"]
