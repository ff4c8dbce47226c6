"""Compiling the programs of a fit."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax

# XLA's new emitters for fused loops double the compile time of our programs on CPUs without making them faster.
# Releases of jaxlib that have not been tried may not know the option, and would refuse to compile.
TRIED_RELEASES = ("0.10.",)
QUICK = {"xla_cpu_use_fusion_emitters": False} if version("jaxlib").startswith(TRIED_RELEASES) else None


class Program:
    """A jitted function whose first argument is static, compiled quickly on CPUs.

    It is called from the host: JAX takes compiler options for outermost programs only.
    """

    def __init__(self, function: Callable[..., Any]):
        self.__doc__ = function.__doc__
        self._plain: Any = jax.jit(function, static_argnums=0)
        self._quick: Any = jax.jit(function, static_argnums=0, compiler_options=QUICK)

    def __call__(self, *args: Any) -> Any:
        return (self._quick if jax.default_backend() == "cpu" else self._plain)(*args)

    def count(self) -> int:
        """Number of variants compiled so far in this process."""
        return self._quick._cache_size() + self._plain._cache_size()
