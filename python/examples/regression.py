"""Numbers of sequences, and of each timestep."""

import numpy as np

import lockstep


def make_series(n, rng):
    """Damped waves, and what they are made of: how often they swing and how fast they fade."""
    swings, fading = rng.uniform(1, 5, n), rng.uniform(0.5, 3, n)
    time = np.linspace(0, 1, 50)
    waves = np.sin(2 * np.pi * np.outer(swings, time)) * np.exp(-np.outer(fading, time))
    return waves.astype(np.float32), np.stack([swings, fading], axis=1)


def main():
    rng = np.random.default_rng(1)
    x, y = make_series(300, rng)
    x_test, y_test = make_series(100, rng)
    regressor = lockstep.RNNRegressor(hidden=32, epochs=60, loss="huber", pool="last")
    regressor.fit(x, y)  # a row of x is a series
    print(f"R2 {regressor.score(x_test, y_test):.3f}")
    print(regressor.predict(x_test[:2]).round(1), y_test[:2].round(1))

    # For each timestep: the sum of what came before.
    sums = x.cumsum(axis=1)
    steps = lockstep.RNNRegressor(head="regress_steps", hidden=16, epochs=40)
    steps.fit(x, sums)
    print(f"R2 of timesteps {steps.score(x_test, x_test.cumsum(axis=1)):.3f}")


if __name__ == "__main__":
    main()
