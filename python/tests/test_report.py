"""The report of an estimator: a page, a text, a notebook's representation."""

import html.parser

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.exceptions import NotFittedError

from lockstep import RNNClassifier, RNNRegressor

SMALL = {"hidden": 8, "epochs": 4, "n_jobs": 1}


@pytest.fixture
def x(rng):
    return rng.standard_normal((30, 6, 2)).astype(np.float32) + 2 * (
        np.arange(30)[:, None, None] % 2
    )


class Parser(html.parser.HTMLParser):
    """Refuses a page whose elements are not nested."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], set(), ""

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(page):
    parser = Parser()
    parser.feed(page)
    assert parser.open == []
    return parser


def test_of_classes(x, tmp_path):
    labels = np.array(["left & <right>", "up"])[np.arange(30) % 2]
    classifier = RNNClassifier(validation=0.2, **SMALL).fit(x, labels)
    report = classifier.report(x, labels, name="arrows")
    page = parsed(report.html)
    assert {"svg", "table", "style"} <= page.seen
    for text in ("Training on arrows", "left & <right>", "24 sequences trained on"):
        assert text in page.text
    assert "6 held out for validation, 30 tested on" in page.text
    assert classifier.model_.weights_hash() in page.text
    assert "Confusion matrix" in page.text and "learning_rate" in page.text
    assert "random_state" in page.text and "n_jobs" in page.text
    for name in ("seed", "class_weights", "normalize_targets", "delta"):
        assert name not in page.text
    assert report.evaluation.accuracy == classifier.score(x, labels)
    text = str(report)
    assert "precision" in text and "left & <right>" in text and " epoch      loss" in text
    report.save(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report.html


def test_in_a_notebook_it_is_a_frame(x):
    labels = np.array(['a "quoted" name', "b"])[np.arange(30) % 2]
    report = RNNClassifier(**SMALL).fit(x, labels).report(x, labels)
    shown = report._repr_html_()

    class Frame(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            self.frame = (tag, dict(attributes))

    frame = Frame()
    frame.feed(shown)
    assert frame.frame[0] == "iframe"
    assert frame.frame[1]["srcdoc"] == report.html
    assert "lockstep.Report" in repr(report)


def test_of_numbers(x):
    y = np.stack([x.sum((1, 2)), x[:, 0, 0]], 1)
    page = parsed(RNNRegressor(**SMALL).fit(x, y).report(x, y).html)
    assert "Predicted and true" in page.text and "Errors of" in page.text
    assert "RMSE" in page.text and "Accuracy" not in page.text
    assert "normalize_targets" in page.text and "label_smoothing" not in page.text


def test_of_several_labels_and_of_timesteps(x):
    labels = (x[:, 0] > 1).astype(int)
    assert "label" in str(RNNClassifier(**SMALL).fit(x, labels).report(x, labels))
    steps = np.where(x[:, :, 0] > 1, "high", "low")
    classifier = RNNClassifier(head="classify_steps", **SMALL).fit(x, steps)
    assert "180 timesteps trained on" in parsed(classifier.report(x, steps).html).text


def test_of_a_training_that_was_interrupted(x):
    y = np.arange(30) % 2

    def fail(estimator, epoch):
        if epoch.epoch == 2:
            raise LookupError

    classifier = RNNClassifier(callbacks=fail, **SMALL)
    with pytest.raises(LookupError):
        classifier.fit(x, y)
    page = parsed(classifier.report(x, y).html)
    assert "interrupted before its end" in page.text
    assert "those of epoch 2" in page.text


def test_errors(x):
    y = np.arange(30) % 2
    with pytest.raises(NotFittedError):
        RNNClassifier().report(x, y)
    classifier = RNNClassifier(**SMALL).fit(x, y)
    with pytest.raises(ValueError, match="label 7 is none of the classes"):
        classifier.report(x, y + 7)
    with pytest.raises(OSError):
        classifier.report(x, y).save("/nowhere/report.html")
