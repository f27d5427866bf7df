#!/usr/bin/env python3
"""Ten steps of every optimizer end with the weights that PyTorch's end with.

    torch_training.py path/to/lockstep

Needs torch and safetensors; exits with 77 ("skipped") where one is absent.
"""

import csv
import pathlib
import subprocess
import sys
import tempfile

from torch_round_trip import Classifier, load_file, save_file, torch

CHANNELS, HIDDEN, CLASSES, STEPS = 3, 9, 3, 10
# In float32, whose sums both sides take in different orders; an optimizer that divides by the root
# of tiny squares makes more of that.
TOLERANCE = {"sgd": 2e-5, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3}

OPTIMIZERS = [
    ("sgd", {"lr": 0.1}, ["--momentum", 0]),
    ("sgd", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
     ["--momentum", 0.9, "--nesterov", "--weight-decay", 0.01]),
    ("adam", {"lr": 0.01, "weight_decay": 0.01}, ["--weight-decay", 0.01]),
    ("adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-4},
     ["--beta1", 0.8, "--beta2", 0.95, "--eps", 1e-4]),
    ("adamw", {"lr": 0.01}, []),
    ("rmsprop", {"lr": 0.001}, []),
    ("rmsprop", {"lr": 0.001, "alpha": 0.9, "momentum": 0.5, "centered": True, "eps": 1e-3},
     ["--alpha", 0.9, "--momentum", 0.5, "--centered", "--eps", 1e-3]),
]
RULES = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
         "rmsprop": torch.optim.RMSprop}
CELLS = [("tanh", 1, False), ("lstm", 1, True), ("gru", 2, False)]


def keep_second_bias(classifier):
    """One bias, as Lockstep has it: of PyTorch's second only what a GRU's n has of its own learns."""
    for name, parameter in classifier.named_parameters():
        if "bias_hh" not in name:
            continue
        with torch.no_grad():
            mask = torch.zeros_like(parameter)
            if isinstance(classifier.rnn, torch.nn.GRU):
                mask[2 * HIDDEN:] = 1
            parameter *= mask
        parameter.register_hook(lambda gradient, mask=mask: gradient * mask)


def write_data(path, sequences):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "step", *[f"x{c}" for c in range(CHANNELS)], "label"])
        for i, sequence in enumerate(sequences):
            for step, values in enumerate(sequence.tolist()):
                writer.writerow([i, step, *map(repr, values), i % CLASSES])


def train_with_torch(classifier, sequences, name, settings):
    optimizer = RULES[name](classifier.parameters(), **settings)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = -sum(torch.log(classifier(x)[i % CLASSES])
                    for i, x in enumerate(sequences)) / len(sequences)
        loss.backward()
        optimizer.step()


def check(lockstep, folder, cell, name, settings, flags):
    kind, layers, bidirectional = cell
    torch.manual_seed(7)
    classifier = Classifier(CHANNELS, HIDDEN, CLASSES, kind, layers, bidirectional)
    keep_second_bias(classifier)
    first, last, data = folder / "first", folder / "last", folder / "data.csv"
    save_file(classifier.state_dict(), first)
    sequences = [torch.randn(4 + i % 5, CHANNELS) for i in range(24)]
    write_data(data, sequences)
    subprocess.run([lockstep, "train", data, "--init-from", first, "--model", last, "--quiet",
                    "--optimizer", name, "--learning-rate", str(settings["lr"]),
                    *map(str, flags), "--epochs", str(STEPS), "--batch-size", "24",
                    "--schedule", "constant", "--clip-norm", "0", "--decay-biases"],
                   check=True, stdout=subprocess.DEVNULL)
    train_with_torch(classifier, sequences, name, settings)
    found = load_file(last)
    difference = max((found[key] - value).abs().max().item()
                     for key, value in classifier.state_dict().items())
    print(f"{kind}, {name} {settings}: largest difference of a weight {difference:.2g}")
    assert difference < TOLERANCE[name], f"expected less than {TOLERANCE[name]}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        for cell in CELLS:
            for name, settings, flags in OPTIMIZERS:
                check(sys.argv[1], pathlib.Path(folder), cell, name, settings, flags)


if __name__ == "__main__":
    main()
