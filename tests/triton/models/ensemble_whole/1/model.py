"""The same tensors in a model that is not decoupled: one response to a request, and no streaming."""

import os
import sys

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))
import mill


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        (prompt,) = mill.read_input(request, "text_input")
        if mill.read_input(request, "stream", False):
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("Streaming needs a decoupled model."))
        count = mill.read_input(request, "max_tokens")
        source = mill.tokens_of(prompt, mill.read_input(request, "seed"), mill.read_input(request, "top_k", 0) == 1)
        text = "".join(next(source) for _ in range(count))
        number = lambda name, value: pb_utils.Tensor(name, np.array([[value]], dtype=np.int32))
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("text_output", np.array([[text.encode()]], dtype=np.object_)),
                number("num_input_tokens", mill.prompt_tokens(prompt)),
                number("num_output_tokens", count),
            ]
        )
