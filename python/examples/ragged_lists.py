"""Sequences of unequal length, with gaps, of classes that are not equally frequent."""

import numpy as np

import lockstep


def make_walks(n, rng):
    """Random walks in two dimensions; a few drift away."""
    walks, labels = [], []
    for _ in range(n):
        drifts = rng.random() < 0.2
        steps = rng.standard_normal((rng.integers(20, 80), 2))
        walk = np.cumsum(steps + (0.4 if drifts else 0.0), axis=0)
        walk[rng.random(len(walk)) < 0.05] = np.nan  # what was not measured
        walks.append(walk)
        labels.append("drifts" if drifts else "stays")
    return walks, labels


def main():
    rng = np.random.default_rng(1)
    walks, labels = make_walks(300, rng)
    test_walks, test_labels = make_walks(200, rng)
    classifier = lockstep.RNNClassifier(
        hidden=16, epochs=40, missing="carry", class_weight="balanced"
    )
    classifier.fit(walks, labels)
    print(f"accuracy {classifier.score(test_walks, test_labels):.3f}")
    print(classifier.report(test_walks, test_labels))


if __name__ == "__main__":
    main()
