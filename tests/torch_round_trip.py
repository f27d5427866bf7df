#!/usr/bin/env python3
"""Models go both ways between the lockstep command and PyTorch with the same predictions.

    torch_round_trip.py path/to/lockstep

Needs torch and safetensors; exits with 77 ("skipped") where one is absent.
"""

import csv
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77

try:
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(SKIPPED)

CHANNELS = 3
CLASSES = ["calm", "fast", "slow"]
# Both sides compute in float32 but add in different orders.
TOLERANCE = 2e-5


class Classifier(torch.nn.Module):
    """The model of lockstep in PyTorch's words; the attribute names are those in the file."""

    def __init__(self, features, hidden, classes, cell="tanh", layers=1, bidirectional=False):
        super().__init__()
        shape = {"num_layers": layers, "bidirectional": bidirectional, "batch_first": True}
        if cell in ("tanh", "relu"):
            self.rnn = torch.nn.RNN(features, hidden, nonlinearity=cell, **shape)
        else:
            self.rnn = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](features, hidden, **shape)
        self.directions = 2 if bidirectional else 1
        self.head = torch.nn.Linear(self.directions * hidden, classes)

    def forward(self, sequence):
        _, last = self.rnn(sequence.unsqueeze(0))
        states = last[0] if isinstance(last, tuple) else last  # [layers * directions][1][hidden]
        return torch.softmax(self.head(states[-self.directions:].flatten()), dim=0)


def make_sequences(count, seed):
    """Ragged sequences of float32 values, with the label's index as an offset of each channel."""
    generator = torch.Generator().manual_seed(seed)
    sequences = []
    for i in range(count):
        length = 5 + i % 7
        noise = torch.randn(length, CHANNELS, generator=generator)
        sequences.append(3 * noise + (i % len(CLASSES)) + torch.arange(CHANNELS))
    return sequences


def write_csv(path, sequences):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "step", *[f"x{c}" for c in range(CHANNELS)], "label"])
        for i, sequence in enumerate(sequences):
            for step, values in enumerate(sequence.tolist()):
                writer.writerow([i, step, *map(repr, values), CLASSES[i % len(CLASSES)]])


def run(*arguments):
    result = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def predict_with_lockstep(lockstep, model, data):
    lines = run(lockstep, "predict", model, data, "--json").splitlines()
    predictions = [json.loads(line) for line in lines]
    assert [p["index"] for p in predictions] == list(range(len(predictions)))
    return [p["class"] for p in predictions], torch.tensor([p["probabilities"] for p in predictions])


def normalized(sequence, normalization):
    if normalization["kind"] == "channel":
        return (sequence - torch.tensor(normalization["mean"])) * torch.tensor(normalization["scale"])
    if normalization["kind"] == "series":
        deviation = sequence.std(dim=0, unbiased=False)
        return (sequence - sequence.mean(dim=0)) / torch.where(deviation > 0, deviation, 1.0)
    return sequence


def check_same(title, names, probabilities, classes, expected):
    assert probabilities.shape == expected.shape, f"{title}: {probabilities.shape}"
    difference = (probabilities - expected).abs().max().item()
    print(f"{title}: largest difference of a probability {difference:.2g}")
    assert difference < TOLERANCE, f"{title}: expected less than {TOLERANCE}"
    best = [names[i] for i in probabilities.argmax(dim=1)]
    assert classes == best, f"{title}: classes do not follow the probabilities"


def named(cell, layers, bidirectional):
    return f"{layers} x {cell}{', both ways' if bidirectional else ''}"


def lockstep_to_torch(lockstep, folder, normalization_kind, cell="tanh", layers=1,
                      bidirectional=False):
    train, test = folder / "train.csv", folder / "test.csv"
    model = folder / f"{normalization_kind}.safetensors"
    sequences = make_sequences(20, seed=2)
    write_csv(train, make_sequences(60, seed=1))
    write_csv(test, sequences)
    run(lockstep, "train", train, "--model", model, "--hidden", 8, "--epochs", 5,
        "--normalize", normalization_kind, "--cell", cell, "--layers", layers,
        *(["--bidirectional"] if bidirectional else []))

    with safe_open(model, framework="pt") as file:
        metadata = json.loads(file.metadata()["lockstep"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    assert metadata["normalization"]["kind"] == normalization_kind
    classifier = Classifier(CHANNELS, 8, len(CLASSES), cell, layers, bidirectional)
    classifier.load_state_dict(tensors)

    inputs = [normalized(sequence, metadata["normalization"]) for sequence in sequences]
    expected = torch.stack([classifier(x) for x in inputs])
    classes, probabilities = predict_with_lockstep(lockstep, model, test)
    check_same(f"lockstep to torch, {normalization_kind}, {named(cell, layers, bidirectional)}",
               metadata["class_names"], probabilities, classes, expected)


def torch_to_lockstep(lockstep, folder, dtype, cell="tanh", layers=1, bidirectional=False):
    torch.manual_seed(4)
    classifier = Classifier(CHANNELS, 12, len(CLASSES), cell, layers, bidirectional).to(dtype)
    model, data = folder / "torch.safetensors", folder / "data.csv"
    save_file(classifier.state_dict(), model)
    sequences = make_sequences(20, seed=3)
    write_csv(data, sequences)

    # What the numbers in the file say, in float32 arithmetic.
    expected = torch.stack([classifier.float()(sequence) for sequence in sequences])
    classes, probabilities = predict_with_lockstep(lockstep, model, data)
    check_same(f"torch to lockstep, {dtype}, {named(cell, layers, bidirectional)}",
               ["0", "1", "2"], probabilities, classes, expected)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    lockstep = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name, torch.no_grad():
        folder = pathlib.Path(name)
        for kind in ["none", "channel", "series"]:
            lockstep_to_torch(lockstep, folder, kind)
        for dtype in [torch.float32, torch.float64, torch.float16, torch.bfloat16]:
            torch_to_lockstep(lockstep, folder, dtype)
        for network in itertools.product(["tanh", "relu", "gru", "lstm"], [1, 2, 3], [False, True]):
            lockstep_to_torch(lockstep, folder, "channel", *network)
            # The file does not say which of the two cells without gates it is.
            if network[0] != "relu":
                torch_to_lockstep(lockstep, folder, torch.float32, *network)


if __name__ == "__main__":
    main()
