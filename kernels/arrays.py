"""Types of the arrays that kernels take."""

import jax
import numpy as np

AnyArray = jax.Array | np.ndarray
"""An array of JAX or of NumPy: what runs in a transformation, and on the host without compiling anything."""

Real = AnyArray | float
"""An array, or one number of Python."""
