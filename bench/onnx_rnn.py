"""The same networks in ONNX Runtime, which does inference."""

from __future__ import annotations

from networks import CLASSES, GATES, Problem, np, softmax

# ONNX's operator, and its gates by their number among PyTorch's: i, o, f, c and z, r, h.
OPERATORS = {"rnn": ("RNN", [0], {}), "gru": ("GRU", [1, 0, 2], {"linear_before_reset": 1}),
             "lstm": ("LSTM", [0, 3, 1, 2], {})}
# Old enough for every ONNX Runtime since 1.10.
OPSET, IR_VERSION = 14, 7


class Graph:
    """Nodes and constants of a network that is being written."""

    def __init__(self, p: Problem) -> None:
        import onnx  # As in torch_rnn.
        self.onnx, self.p = onnx, p
        self.nodes: list = []
        self.constants: list = []
        if p.shape.ragged:
            self.constant("lengths", np.array(p.shape.lengths(), np.int32))

    def node(self, operator: str, inputs: list[str], outputs: list[str], **attributes) -> str:
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, outputs, **attributes))
        return outputs[0]

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(value, name))
        return name

    def weights(self, kinds: list[str], layer: int) -> np.ndarray:
        """[directions][rows][...] in ONNX's order; several biases one behind the other."""
        shape = self.p.shape
        order = OPERATORS[shape.cell][1]

        def reordered(kind: str, suffix: str) -> np.ndarray:
            parts = np.split(self.p.weights[f"{kind}_l{layer}{suffix}"], GATES[shape.cell])
            return np.concatenate([parts[gate] for gate in order])

        suffixes = ["", "_reverse"][:shape.directions]
        return np.array([np.concatenate([reordered(kind, suffix) for kind in kinds])
                         for suffix in suffixes], np.float32)

    def layer(self, number: int, x: str) -> tuple[str, str]:
        """Names of all outputs [T][directions][N][H] and of the last [directions][N][H]."""
        shape = self.p.shape
        operator, _, attributes = OPERATORS[shape.cell]
        tensors = [self.constant(f"{kinds[0]}_l{number}", self.weights(kinds, number))
                   for kinds in [["weight_ih"], ["weight_hh"], ["bias_ih", "bias_hh"]]]
        outputs = [f"y{number}", f"last{number}"]
        self.node(operator, [x, *tensors, "lengths" if shape.ragged else ""], outputs,
                  hidden_size=shape.hidden,
                  direction="bidirectional" if shape.bidirectional else "forward", **attributes)
        return outputs[0], outputs[1]

    def joined(self, name: str, order: list[int], sizes: list[int]) -> str:
        """Directions side by side."""
        turned = self.node("Transpose", [name], [f"{name}_turned"], perm=order)
        size = self.constant(f"{name}_size", np.array(sizes, np.int64))
        return self.node("Reshape", [turned, size], [f"{name}_joined"])

    def model(self) -> bytes:
        shape, helper = self.p.shape, self.onnx.helper
        columns = shape.directions * shape.hidden
        x = "x"
        for number in range(shape.layers):
            outputs, last = self.layer(number, x)
            if number + 1 < shape.layers:
                x = self.joined(outputs, [0, 2, 1, 3], [0, 0, columns])
        h = self.joined(last, [1, 0, 2], [0, columns])
        head = [self.constant(name, self.p.weights[name].astype(np.float32))
                for name in ["head.weight", "head.bias"]]
        self.node("Gemm", [h, *head], ["logits"], transB=1)
        floats = self.onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes, "network",
            [helper.make_tensor_value_info("x", floats, list(self.p.x.shape))],
            [helper.make_tensor_value_info("logits", floats, [shape.sequences, CLASSES])],
            self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                  ir_version=IR_VERSION)
        self.onnx.checker.check_model(model)
        return model.SerializeToString()


class OnnxModel:
    def __init__(self, p: Problem, threads: int) -> None:
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            Graph(p).model(), options, providers=["CPUExecutionProvider"])
        self.x = np.ascontiguousarray(p.x, np.float32)

    def logits(self) -> np.ndarray:
        return self.session.run(["logits"], {"x": self.x})[0]

    inference = logits

    def probabilities(self) -> np.ndarray:
        return softmax(self.logits())
