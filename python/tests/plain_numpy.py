"""The program that lockstep.numpy_rnn takes the place of, by its formulas."""

import numpy as np


class PlainLoop:
    """The same classifier by its formulas, in float64."""

    def __init__(self, nodes, outputs, epochs, rate, batch, sigma):
        self.nodes, self.outputs, self.sigma = nodes, outputs, sigma
        self.epochs, self.rate, self.batch = epochs, rate, batch
        self.weights = None
        self.loss_history, self.lines = [], []

    def draw(self, features):
        sizes = [(features, self.nodes), (self.nodes, self.nodes), (self.nodes, self.outputs)]
        wx, wh, wy = (self.sigma * np.random.randn(*size) for size in sizes)
        self.weights = [wx, wh, np.zeros(self.nodes), wy, np.zeros(self.outputs)]

    def forward(self, x):
        wx, wh, b, wy, by = self.weights
        h = [np.zeros((len(x), self.nodes))]
        for t in range(x.shape[1]):
            h.append(np.tanh(x[:, t] @ wx + h[-1] @ wh + b))
        exp = np.exp(h[-1] @ wy + by)
        return h, exp / exp.sum(1, keepdims=True)

    def gradients(self, x, y):
        """Of the summed loss, and that loss."""
        _, wh, _, wy, _ = self.weights
        h, p = self.forward(x)
        loss = -np.log(p[np.arange(len(y)), y]).sum()
        delta = p - np.eye(self.outputs)[y]
        found = [np.zeros_like(w) for w in self.weights[:3]]
        found += [h[-1].T @ delta, delta.sum(0)]
        dh = delta @ wy.T
        for t in reversed(range(x.shape[1])):
            da = dh * (1 - h[t + 1] ** 2)
            found[0] += x[:, t].T @ da
            found[1] += h[t].T @ da
            found[2] += da.sum(0)
            dh = da @ wh.T
        return loss, found

    def fit(self, x, y):
        if self.weights is None:
            self.draw(x.shape[2])
        for epoch in range(self.epochs):
            order, total = np.random.permutation(len(x)), 0
            for first in range(0, len(x), self.batch):
                some = order[first : first + self.batch]
                loss, gradients = self.gradients(x[some], y[some])
                total += loss
                for w, g in zip(self.weights, gradients):
                    w -= self.rate * g / len(some)
            self.loss_history.append(total / len(x))
            self.lines.append(f"Epoch {epoch + 1}/{self.epochs}, Loss: {total / len(x):.4f}\n")
