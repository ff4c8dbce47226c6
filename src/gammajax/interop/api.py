"""gammapy as the bridge sees it, imported when it is first needed."""

from gammajax.datasets.errors import InputError


class Api:
    """The parts of gammapy that are needed."""

    def __init__(self) -> None:
        from gammapy import data, datasets, estimators, irf, maps, stats
        from gammapy.modeling import Parameters, models

        self.data, self.datasets, self.irf, self.maps, self.models = data, datasets, irf, maps, models
        self.estimators, self.stats = estimators, stats
        self.parameters = Parameters


def load_api(function: str) -> Api:
    """The parts of gammapy; an `InputError` that starts with ``function`` where it is not installed."""
    try:
        return Api()
    except ImportError as error:
        raise InputError(f"{function} needs gammapy ({error}). Install it with: pip install gammapy") from error
