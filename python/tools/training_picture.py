"""Writes docs/training.svg, the README's picture: a training on the set synthetic-control. It needs
the package with scikit-learn, and Matplotlib, whose look is that of the benchmarks' charts.

    python python/tools/training_picture.py
"""

import pathlib
import re
import sys

import numpy as np

import lockstep

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import svg  # noqa: E402

DISTANCE = 6  # between the sequences of two classes, in standard deviations


def draw_sequences(axes, data, classes):
    """One of each class, standardised, one below the other."""
    for place, name in enumerate(classes):
        sequence = data[int(np.argmax(data.labels == data.class_names.index(name)))][:, 0]
        curve = (sequence - sequence.mean()) / sequence.std()
        axes.plot(np.round(curve - DISTANCE * place, 2), color=svg.SERIES[place], lw=1.4)
    axes.set_yticks([-DISTANCE * place for place in range(len(classes))], classes)
    axes.set_xlabel("timestep")
    axes.set_title("A sequence of each class", color=svg.INK)


def draw_losses(axes, history):
    epochs = np.arange(1, len(history["loss"]) + 1)
    axes.semilogy(epochs, history["loss"], color=svg.SERIES[0], label="training")
    axes.semilogy(epochs, history["validation_loss"], "--", color=svg.SERIES[1], label="validation")
    axes.grid(True)
    axes.set_yticks([1, 0.1, 0.01], ["1", "0.1", "0.01"])
    axes.minorticks_off()
    axes.legend()
    axes.set_xlabel("epoch")
    axes.set_title("Loss", color=svg.INK)


def draw_confusion(axes, evaluation, classes):
    """Shaded by the share of the true class, as the report has it."""
    for actual, predicted, count in evaluation.confusion.tolist():
        share = count / evaluation.support[actual]
        corner = (predicted - 0.5, actual - 0.5)
        axes.add_patch(
            svg.plt.Rectangle(corner, 1, 1, color=svg.SERIES[0], alpha=0.5 * share, lw=0)
        )
        axes.text(predicted, actual, str(count), ha="center", va="center")
    places = range(len(classes))
    axes.set_yticks(places, classes)
    axes.set_xticks([])
    axes.set_xlabel("predicted, in the same order")
    axes.set(xlim=(-0.5, len(classes) - 0.5), ylim=(len(classes) - 0.5, -0.5), aspect="equal")
    axes.set_title(f"{100 * evaluation.accuracy:.0f} % of the test set right", color=svg.INK)


def rounded(text):
    """Hundredths of a point are enough."""
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", text)


def main():
    train, test = lockstep.Dataset.builtin("synthetic-control")
    classifier = lockstep.RNNClassifier(hidden=32, epochs=60, validation=0.2)
    classifier.fit(train, np.array(train.class_names)[train.labels])
    report = classifier.report(test, np.array(test.class_names)[test.labels])
    classes = classifier.classes_.tolist()
    figure, axes = svg.plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
    draw_sequences(axes[0], train, classes)
    draw_losses(axes[1], classifier.history_)
    draw_confusion(axes[2], report.evaluation, classes)
    label = (
        f"Six kinds of sequences; training and validation loss over {len(classifier.loss_history_)} "
        f"epochs, which falls to {classifier.loss_history_[-1]:.3f}; confusion matrix of "
        f"{len(test)} other sequences, {100 * report.evaluation.accuracy:.0f} % right"
    )
    path = ROOT / "python" / "docs" / "training.svg"
    path.write_text(rounded(svg.standing_alone(svg.to_svg(figure, label))), encoding="utf-8")


if __name__ == "__main__":
    main()
