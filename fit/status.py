"""How a fit ended: one enumeration, and what each end means in words."""

from enum import StrEnum


class Status(StrEnum):
    """How a fit ended. Members are strings: ``result.status == "converged"``.

    Only ``CONVERGED`` is success: a minimum to within the tolerance, which the data give to every free parameter.
    """

    CONVERGED = "converged"
    UNCONSTRAINED = "unconstrained"
    VANISHED = "vanished"
    AT_INFINITY = "at_infinity"
    FLAT = "flat"
    STALLED = "stalled"
    MAX_ITERATIONS = "max_iterations"
    STOPPED = "stopped"


MESSAGES = {
    Status.CONVERGED: "The fit converged.",
    Status.UNCONSTRAINED: (
        "The fit ended where some parameters may change and the statistic stays: there is no one best place."
    ),
    Status.VANISHED: "The fit ended where a component of the model has vanished.",
    Status.AT_INFINITY: "The statistic goes on falling towards an infinite, or vanishing, value of a parameter.",
    Status.FLAT: (
        "The statistic goes on falling, ever more slowly, without a minimum in sight: it is flat there, or its optimum "
        "lies at infinity. Freeze or bound the parameters of large errors, or take a simpler model."
    ),
    Status.MAX_ITERATIONS: (
        "The fit did not converge within the given number of iterations. Raise max_iterations, or start nearer."
    ),
    Status.STALLED: (
        "No step lowers the statistic any more although the estimated distance to the minimum is above the tolerance. "
        "The likelihood may have a kink here, or curvature is lost to rounding where components cancel: look at the "
        "parameters at their bounds and at the masks, and freeze what the components share."
    ),
    Status.STOPPED: (
        "The optimiser stopped before the estimated distance to the minimum was below the tolerance. "
        "Give it more steps."
    ),
}

OF_THE_VANISHED = (
    "In this fit a component has vanished, which leaves it no place and no shape to ask about. Freeze its position, "
    "size and spectrum where you look for it (models.freeze), fit again, and take gj.upper_limit and gj.component_ts "
    "then."
)
"""What to do where a limit, or a significance, of a component that has vanished is asked for."""
