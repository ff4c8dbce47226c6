"""Double precision: what fits and estimators ask of JAX."""

import jax

from ..datasets.errors import InputError


def require_double(what: str, otherwise: str = "") -> None:
    """An `InputError`, which begins with ``what``, where JAX computes in float32; ``otherwise``: another way."""
    if not jax.config.read("jax_enable_x64"):
        raise InputError(
            f"{what}: it needs float64, and JAX is set to float32. Say jax.config.update('jax_enable_x64', True) "
            f"before anything else{otherwise}."
        )
