"""First steps: learn a built-in set of control charts, look at the report, keep the model."""

import pathlib
import tempfile

import numpy as np

import lockstep


def arrays(data):
    """X [n, timesteps, channels] and y of a set whose sequences are of one length."""
    names = np.array(data.class_names)
    return np.stack(list(data)), names[data.labels]


def main():
    train, test = map(arrays, lockstep.Dataset.builtin("synthetic-control"))
    classifier = lockstep.RNNClassifier(hidden=32, epochs=30, random_state=1)
    classifier.fit(*train)
    print(f"accuracy {classifier.score(*test):.3f}")

    report = classifier.report(*test, name="synthetic-control")
    print(report)
    with tempfile.TemporaryDirectory() as folder:
        report.save(pathlib.Path(folder) / "report.html")
        # The model alone is a safetensors file, which the command `lockstep` reads too.
        classifier.model_.save(pathlib.Path(folder) / "model.safetensors")
        model = lockstep.Model.load(pathlib.Path(folder) / "model.safetensors")
    print(f"weights {model.weights_hash()}")


if __name__ == "__main__":
    main()
