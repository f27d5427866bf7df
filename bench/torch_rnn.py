"""torch.nn.RNN, LSTM and GRU with a linear layer behind them."""

from __future__ import annotations

from networks import CLASSES, CLIP_NORM, LEARNING_RATE, Problem, Weights, np

MODULES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}


class TorchModel:
    """The parameters and the minibatch of a problem in PyTorch's hands."""

    def __init__(self, p: Problem) -> None:
        import torch  # The process that only lists shapes must not wait for it.
        self.torch = torch
        shape = p.shape
        self.directions = shape.directions
        self.rnn = getattr(torch.nn, MODULES[shape.cell])(
            shape.features, shape.hidden, shape.layers, bidirectional=shape.bidirectional)
        self.head = torch.nn.Linear(shape.directions * shape.hidden, CLASSES)
        self.named = {**dict(self.rnn.named_parameters()),
                      **dict(self.head.named_parameters(prefix="head"))}
        with torch.no_grad():
            for name, parameter in self.named.items():
                parameter.copy_(torch.from_numpy(p.weights[name]))
        self.x = torch.from_numpy(p.x).float()
        self.labels = torch.from_numpy(p.labels).long()
        self.lengths = torch.tensor(shape.lengths()) if shape.ragged else None
        self.parameters = list(self.named.values())
        self.optimizer = torch.optim.SGD(self.parameters, lr=LEARNING_RATE)

    def logits(self):
        x = self.x
        if self.lengths is not None:
            x = self.torch.nn.utils.rnn.pack_padded_sequence(x, self.lengths, enforce_sorted=False)
        _, states = self.rnn(x)
        h = states[0] if isinstance(states, tuple) else states
        # Of the last layer: forward after the last timestep, backward after the first.
        last = h[-1] if self.directions == 1 else self.torch.cat([h[-2], h[-1]], dim=1)
        return self.head(last)

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

    def gradients(self) -> Weights:
        self.backward()
        return {name: parameter.grad.numpy() for name, parameter in self.named.items()}
