"""A search among networks, behind a step that prepares the sequences."""

import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import lockstep


def with_differences(x):
    """The change from timestep to timestep as further channels."""
    return np.concatenate([x, np.diff(x, axis=1, prepend=x[:, :1])], axis=2)


def main():
    train, test = lockstep.Dataset.builtin("cylinder-bell-funnel")
    x, x_test = np.stack(list(train)), np.stack(list(test))
    network = lockstep.RNNClassifier(hidden=16, epochs=60, n_jobs=1)
    pipeline = make_pipeline(FunctionTransformer(with_differences), network)
    grid = {"rnnclassifier__cell": ["tanh", "gru"], "rnnclassifier__pool": ["max", "mean"]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(x, train.labels)
    for parameters, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"]):
        print(f"{score:.3f}  {parameters}")
    print(f"accuracy {search.score(x_test, test.labels):.3f}")


if __name__ == "__main__":
    main()
