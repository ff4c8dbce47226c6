"""A neural network inside a spectrum: a power law times a small correction that is learnt from the counts.

Any equinox module that maps energies in TeV to dN/dE may stand where a spectral model stands.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import gammajax as gj
from gammajax.cli.demo import TRUTH, crab, simulate_night

jax.config.update("jax_enable_x64", True)


class NeuralSpectrum(eqx.Module):
    """dN/dE = 1e-11 (E / TeV)^-2 exp(network(ln E)) in TeV-1 s-1 cm-2."""

    network: eqx.nn.MLP

    def __init__(self, key):
        self.network = eqx.nn.MLP("scalar", "scalar", width_size=6, depth=1, activation=jnp.tanh, key=key)

    def __call__(self, energy):
        x = jnp.log(energy)
        correction = jax.vmap(self.network)(jnp.ravel(x)).reshape(x.shape)
        return 1e-11 * energy**-2.0 * jnp.exp(correction)


def main(steps=500):
    night = simulate_night(seed=1)
    models = gj.Models([gj.SkyModel(NeuralSpectrum(jax.random.key(0)), name="crab")])
    result = gj.fit(night, models, method=optax.adam(0.1), steps=steps)

    energy = np.array([1.0, 3.0, 10.0])
    learnt = np.asarray(result.models["crab"].spectral(energy))
    truth = crab(TRUTH)["crab"].spectral(energy)
    print(f"statistic {result.stat:.1f} for {result.n_bins} bins; the simulated spectrum itself has "
          f"{float(gj.stat_sum(night, crab(TRUTH))):.1f}")  # fmt: skip
    for e, found, simulated in zip(energy, learnt, truth, strict=True):
        print(f"{e:4.0f} TeV: learnt {found:.3g}, simulated {simulated:.3g}, ratio {found / simulated:.2f}")
    return result, learnt / truth


if __name__ == "__main__":
    main()
