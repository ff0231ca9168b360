"""Tensors as vLLM's backend has them: sampling as JSON, new text and new tokens in each response."""

import json
import os
import sys

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))
import mill


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            self.answer(request, request.get_response_sender())

    def answer(self, request, sender):
        (prompt,) = mill.read_input(request, "text_input")
        stream = mill.read_input(request, "stream", False)
        exclude = mill.read_input(request, "exclude_input_in_output", stream)
        if stream and not exclude:
            error = pb_utils.TritonError("When streaming, `exclude_input_in_output` = False is not allowed.")
            sender.send(pb_utils.InferenceResponse(error=error), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            return
        sampling = json.loads(mill.read_input(request, "sampling_parameters", ["{}"])[0])
        said = {"text": "", "tokens": 0}

        def step(text, tokens, finish, _stop):
            new, said["text"] = text[len(said["text"]) :], text
            outputs = [mill.text_tensor("text_output", new)]
            if mill.read_input(request, "return_finish_reason", False):
                outputs.append(mill.text_tensor("finish_reason", str(finish)))
            if mill.read_input(request, "return_num_input_tokens", False):
                outputs.append(pb_utils.Tensor("num_input_tokens", np.array([mill.prompt_tokens(prompt)], dtype=np.uint32)))
            if mill.read_input(request, "return_num_output_tokens", False):
                outputs.append(pb_utils.Tensor("num_output_tokens", np.array([tokens - said["tokens"]], dtype=np.uint32)))
            said["tokens"] = tokens
            if mill.read_input(request, "return_logprobs", False):
                chosen = {"logprob": -0.5, "rank": 2, "decoded_token": new}
                likelier = {"logprob": -0.25, "rank": 1, "decoded_token": ' "7": {'}
                outputs.append(mill.text_tensor("logprobs", json.dumps([{"1000": chosen, "7": likelier}])))
            sender.send(pb_utils.InferenceResponse(outputs))

        mill.Answer(
            request,
            sender,
            prompt,
            sampling.get("max_tokens", 16),
            sampling.get("seed"),
            sampling.get("temperature", 1.0) == 0,
            sampling.get("stop", []),
            sampling.get("include_stop_str_in_output", False),
            sampling.get("ignore_eos", False),
        ).run(step)
