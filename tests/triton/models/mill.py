"""What the models of this repository share: a generator without weights, and the two ways of answering.

The same prompt and seed give the same words. A prompt may ask for trouble:
  "fail at 3: ..."  the answer breaks off with an error after three tokens
  "silent: ..."     not a token, until the request is cancelled
Every request leaves a line in the file that MILL_LOG names: its id, how it ended, and after how many tokens.
"""

import hashlib
import os
import re
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

WORDS = "the mill turns by the stream and grinds rye wheat barley corn é 日 while water runs over its wheel".split()
CONTEXT_TOKENS = 1024


def text_tensor(name, *values):
    return pb_utils.Tensor(name, np.array([value.encode() for value in values], dtype=np.object_))


def read_input(request, name, default=None):
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return default
    values = tensor.as_numpy().reshape(-1)
    if values.dtype == np.object_:
        return [value.decode() for value in values]
    return values[0].item()


def prompt_tokens(prompt):
    return max(1, len(prompt.split()))


def tokens_of(prompt, seed, greedy):
    """Endless tokens; greedy ones do not depend on the seed."""
    key = f"{prompt}|{'greedy' if greedy else seed}"
    at = 0
    while True:
        digest = hashlib.sha256(f"{key}|{at}".encode()).digest()
        yield " " + WORDS[digest[0] % len(WORDS)]
        at += 1


class Ended(Exception):
    def __init__(self, reason):
        self.reason = reason


class Answer:
    """One request in a thread of its own: `step(text, tokens, finish, stop)` is called for each token."""

    def __init__(self, request, sender, prompt, max_tokens, seed, greedy, stop, keep_stop, ignore_eos):
        self.sender, self.prompt, self.max_tokens = sender, prompt, max_tokens
        self.stop, self.keep_stop = stop, keep_stop
        self.request_id = request.request_id()
        self.source = tokens_of(prompt, seed, greedy)
        self.end_at = None if ignore_eos else 600

    def run(self, step):
        def work():
            tokens, how = 0, "completed"
            try:
                tokens = self.generate(step)
            except Ended as ended:
                how, tokens = ended.reason
            except pb_utils.TritonModelException as error:
                how = "failed"
                response = pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
                self.sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            with open(os.environ["MILL_LOG"], "a") as log:
                log.write(f"{self.request_id} {how} {tokens}\n")

        threading.Thread(target=work, daemon=True).start()

    def generate(self, step):
        if prompt_tokens(self.prompt) + self.max_tokens > CONTEXT_TOKENS:
            raise pb_utils.TritonModelException(
                f"This model's maximum context length is {CONTEXT_TOKENS} tokens; the request needs more."
            )
        fail_at = re.match(r"fail at (\d+):", self.prompt)
        text, tokens = "", 0
        while True:
            time.sleep(0.002)
            if self.sender.is_cancelled():
                self.sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
                raise Ended(("cancelled", tokens))
            if self.prompt.startswith("silent:"):
                continue
            if fail_at and tokens == int(fail_at[1]):
                raise pb_utils.TritonModelException("the mill broke down")
            piece = next(self.source)
            tokens += 1
            text += piece
            found = next((stop for stop in self.stop if stop in text), None)
            if found is not None:
                end = text.index(found) + (len(found) if self.keep_stop else 0)
                text = text[:end]
            finish = "stop" if found or tokens == self.end_at else "length" if tokens == self.max_tokens else None
            step(text, tokens, finish, found)
            if finish is not None:
                self.sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
                return tokens
