"""torch.nn.RNN with a linear layer behind it, on the problems of numpy_rnn."""

from __future__ import annotations

from typing import Optional

from numpy_rnn import (
    CLASSES, CLIP_NORM, LEARNING_RATE, Problem, difference, np, numpy_gradients,
    numpy_probabilities)


class TorchModel:
    """The parameters and the minibatch of a problem in PyTorch's hands."""

    def __init__(self, p: Problem) -> None:
        import torch  # The process that only lists shapes must not wait for it.
        self.torch = torch
        features, hidden = p.weights["wx"].shape
        self.rnn = torch.nn.RNN(features, hidden)
        self.head = torch.nn.Linear(hidden, CLASSES)
        with torch.no_grad():
            for parameter, value in self._pairs(p.weights):
                parameter.copy_(torch.from_numpy(value))
            self.rnn.bias_hh_l0.zero_()
        self.x = torch.from_numpy(p.x).float()
        self.labels = torch.from_numpy(p.labels).long()
        self.lengths = None if p.mask is None else torch.tensor(p.lengths)
        self.parameters = [*self.rnn.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.SGD(self.parameters, lr=LEARNING_RATE)

    def _pairs(self, values: dict[str, np.ndarray]) -> list[tuple]:
        """PyTorch keeps its matrices transposed, and half of the bias is enough."""
        return [(self.rnn.weight_ih_l0, values["wx"].T), (self.rnn.weight_hh_l0, values["wh"].T),
                (self.rnn.bias_ih_l0, values["b"]), (self.head.weight, values["wo"].T),
                (self.head.bias, values["bo"])]

    def logits(self):
        x = self.x
        if self.lengths is not None:
            x = self.torch.nn.utils.rnn.pack_padded_sequence(x, self.lengths, enforce_sorted=False)
        _, last = self.rnn(x)
        return self.head(last[0])

    def inference(self) -> None:
        with self.torch.inference_mode():
            self.logits()

    def backward(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.torch.nn.functional.cross_entropy(self.logits(), self.labels).backward()

    def training_step(self) -> None:
        self.backward()
        self.torch.nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        self.optimizer.step()

    def probabilities(self) -> np.ndarray:
        with self.torch.inference_mode():
            return self.torch.softmax(self.logits(), dim=1).numpy()

    def found_and_expected(self, gradients: dict[str, np.ndarray]) -> dict[str, tuple]:
        """After backward(): each gradient beside the expected one."""
        return {key: (parameter.grad.numpy(), expected)
                for key, (parameter, expected) in zip(["wx", "wh", "b", "wo", "bo"],
                                                      self._pairs(gradients))}


def verify_torch(kernel: str, p: Problem) -> Optional[str]:
    model = TorchModel(p)
    if kernel == "rnn_forward":
        return difference("probabilities", model.probabilities(), numpy_probabilities(p))
    model.backward()
    both = model.found_and_expected(numpy_gradients(p))
    found = (difference(f"gradient {key}", *pair) for key, pair in both.items())
    return next(filter(None, found), None)
