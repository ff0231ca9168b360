"""Tensors as TensorRT-LLM's ensemble has them: new text, stop words left in it, no reason for the end."""

import os
import sys

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))
import mill


def count_tensor(name, value):
    return pb_utils.Tensor(name, np.array([[value]], dtype=np.int32))


def text_row(name, value):
    return pb_utils.Tensor(name, np.array([[value.encode()]], dtype=np.object_))


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            self.answer(request, request.get_response_sender())

    def answer(self, request, sender):
        (prompt,) = mill.read_input(request, "text_input")
        exclude = mill.read_input(request, "exclude_input_in_output", False)
        said = {"text": "", "tokens": 0}

        def step(text, tokens, _finish, _stop):
            new, said["text"] = text[len(said["text"]) :], text
            if not exclude and tokens == 1:
                new = prompt + new
            outputs = [text_row("text_output", new)]
            if mill.read_input(request, "return_num_input_tokens", False):
                outputs.append(count_tensor("num_input_tokens", mill.prompt_tokens(prompt)))
            if mill.read_input(request, "return_num_output_tokens", False):
                outputs.append(count_tensor("num_output_tokens", tokens - said["tokens"]))
            said["tokens"] = tokens
            sender.send(pb_utils.InferenceResponse(outputs))

        mill.Answer(
            request,
            sender,
            prompt,
            mill.read_input(request, "max_tokens"),
            mill.read_input(request, "seed"),
            mill.read_input(request, "top_k", 0) == 1,
            mill.read_input(request, "stop_words", []),
            True,
            mill.read_input(request, "end_id") == -1,
        ).run(step)
