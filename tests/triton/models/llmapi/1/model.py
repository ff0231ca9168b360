"""Tensors as TensorRT-LLM's LLM API backend has them: the whole text so far in each response, no token counts."""

import os
import sys

import triton_python_backend_utils as pb_utils

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))
import mill


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            self.answer(request, request.get_response_sender())

    def answer(self, request, sender):
        (prompt,) = mill.read_input(request, "text_input")
        streaming = mill.read_input(request, "streaming", False)
        exclude = mill.read_input(request, "sampling_param_exclude_input_from_output", False)

        def step(text, _tokens, finish, stop):
            if not streaming and finish is None:
                return
            outputs = [mill.text_tensor("text_output", text if exclude else prompt + text)]
            if mill.read_input(request, "return_finish_reason", False):
                outputs.append(mill.text_tensor("finish_reason", str(finish)))
            if mill.read_input(request, "return_stop_reason", False):
                outputs.append(mill.text_tensor("stop_reason", str(stop)))
            sender.send(pb_utils.InferenceResponse(outputs))

        mill.Answer(
            request,
            sender,
            prompt,
            mill.read_input(request, "sampling_param_max_tokens", 32),
            mill.read_input(request, "sampling_param_seed"),
            mill.read_input(request, "sampling_param_top_k", 0) == 1,
            mill.read_input(request, "sampling_param_stop", []),
            False,
            False,
        ).run(step)
