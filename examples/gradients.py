"""The likelihood as a plain function: its gradient with respect to models, and a sampler of ten lines on top of it."""

import jax
import jax.numpy as jnp
import numpy as np

import gammajax as gj
from gammajax.cli.demo import TRUTH, crab, simulate_night

jax.config.update("jax_enable_x64", True)


def gradient_of_models(night, models):
    """Value of the statistic and its derivative in every parameter; the derivative has the structure of the models."""
    value, slope = jax.value_and_grad(lambda m: gj.stat_sum(night, m))(models)
    return value, {name: float(p.value) for name, p in slope.parameters.items()}


def hamiltonian_chain(key, log_density, start, covariance, n_samples=400, n_leaps=6, step=0.25):
    """Samples of a density, (n_samples, n), and the share of accepted moves: Hamiltonian Monte Carlo.

    The chain runs in coordinates in which a fit's covariance is the unit matrix,
    so that leaps of a quarter period, pi / 2 in all, give nearly independent samples.
    """
    factor = jnp.linalg.cholesky(covariance)
    density = jax.value_and_grad(lambda z: log_density(start + factor @ z))

    def leap(state, _):
        z, momentum, slope = state
        momentum = momentum + step / 2 * slope
        z = z + step * momentum
        slope = density(z)[1]
        return (z, momentum + step / 2 * slope, slope), None

    def move(z, key):
        first, second = jax.random.split(key)
        momentum = jax.random.normal(first, z.shape)
        value, slope = density(z)
        (new, end, _), _ = jax.lax.scan(leap, (z, momentum, slope), length=n_leaps)
        gain = density(new)[0] - value - (end @ end - momentum @ momentum) / 2
        accepted = jnp.log(jax.random.uniform(second)) < gain
        z = jnp.where(accepted, new, z)
        return z, (start + factor @ z, accepted)

    _, (samples, accepted) = jax.jit(lambda z, keys: jax.lax.scan(move, z, keys))(
        jnp.zeros_like(start), jax.random.split(key, n_samples)
    )
    return np.asarray(samples), float(accepted.mean())


def main():
    night = simulate_night(seed=1)[:3]
    value, slopes = gradient_of_models(night, crab(TRUTH))
    print(f"statistic at the truth {value:.2f}, derivatives:", {n: f"{s:.3g}" for n, s in slopes.items()})

    result = gj.fit(night, crab(TRUTH))
    log_density = gj.log_density(night, result.models)
    samples, accepted = hamiltonian_chain(
        jax.random.key(0), log_density, jnp.asarray(log_density.initial), jnp.asarray(result.covariance)
    )
    print(f"accepted {accepted:.0%}")
    for i, name in enumerate(log_density.names):
        p = result.parameters[name]
        print(f"{name}: fit {float(p.value):.3g} +- {float(p.error):.2g}, "
              f"samples {samples[:, i].mean():.3g} +- {samples[:, i].std():.2g}")  # fmt: skip
    return result, slopes, samples, accepted


if __name__ == "__main__":
    main()
