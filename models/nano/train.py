"""Trains nano and writes it as GGUF. One command: see README.md beside this file.

Two ideas make a few minutes on two cores enough. Only what the assistant says is learned, so the output matrix is
applied to those positions alone; and the hidden matrices are updated by Muon (orthogonalised momentum), which needs
about half the steps of AdamW here. The learning rate follows the clock, so a run takes the minutes it was given.
"""

import argparse
import json
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

# Threads that wait by spinning starve each other where cores are shared. Read by OpenMP when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from export import write_gguf
from network import Network, Shape
from vocabulary import tokenizer_cases, train_tokenizer

LONGEST = 1024
LENGTH_STEP = 16
TOKENS_PER_STEP = 2048
# Short dialogues first: copying and arithmetic are found sooner where there is little else to look at.
SHORT, SHORT_SHARE = 80, 0.3


def read_lines(path: Path) -> list[dict]:
    with path.open() as file:
        return [json.loads(line) for line in file]


def encode(tokenizer: Tokenizer, lines: list[dict]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each dialogue as its tokens and, for each, whether it is learned. int16 keeps a run in memory."""
    parts = [part for line in lines for part in line["parts"]]
    ids = iter(encoding.ids for encoding in tokenizer.encode_batch_fast(parts, add_special_tokens=False))
    encoded = []
    for line in lines:
        tokens: list[int] = []
        learned: list[bool] = []
        for at in range(len(line["parts"])):
            part = next(ids)
            tokens += part
            learned += [at % 2 == 1] * len(part)
        if len(tokens) <= LONGEST:
            encoded.append((torch.tensor(tokens, dtype=torch.int16), torch.tensor(learned)))
    return encoded


def batches(data: list, seed: int, longest: Callable[[], int]):
    """Endless padded batches of about TOKENS_PER_STEP, each of dialogues of like length up to `longest()`, in random order."""
    chance = random.Random(seed)
    buckets = defaultdict(list)
    while True:
        chance.shuffle(data)
        for tokens, learned in data:
            if len(tokens) > longest():
                continue
            length = -(-len(tokens) // LENGTH_STEP) * LENGTH_STEP
            bucket = buckets[length]
            bucket.append((tokens, learned))
            if len(bucket) == max(1, TOKENS_PER_STEP // length):
                yield pad(bucket, length)
                bucket.clear()


def pad(rows: list, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.zeros(len(rows), length, dtype=torch.long)
    learned = torch.zeros(len(rows), length, dtype=torch.bool)
    for at, (row, mask) in enumerate(rows):
        tokens[at, : len(row)] = row
        learned[at, : len(row)] = mask
    return tokens, learned


def orthogonalised(gradients: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Newton-Schulz iteration towards the nearest orthogonal matrix, for a stack of equal shapes (Jordan et al., Muon)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = gradients.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


class Muon:
    """Momentum, orthogonalised, over the hidden matrices; matrices of one shape are updated as one stack."""

    def __init__(self, parameters: list[torch.nn.Parameter], momentum: float = 0.95, decay: float = 0.02):
        self.momentum, self.decay = momentum, decay
        self.groups = defaultdict(list)
        for parameter in parameters:
            self.groups[parameter.shape].append(parameter)
        self.state = {shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for shape, group in self.groups.items():
            gradient = torch.stack([parameter.grad for parameter in group])
            state = self.state[shape]
            state.lerp_(gradient, 1 - self.momentum)
            update = orthogonalised(gradient.lerp(state, self.momentum))
            scale = rate * max(1.0, shape[0] / shape[1]) ** 0.5
            for parameter, delta in zip(group, update):
                parameter.mul_(1 - rate * self.decay).add_(delta, alpha=-scale)


def rate_at(progress: float, step: int) -> float:
    """Warm up over 60 steps, full for a fifth of the time; then a third of it, falling linearly to zero."""
    if progress < 0.2:
        return min(1.0, step / 60)
    return 0.35 * min(1.0, step / 60) * (1 - progress) / 0.8


@torch.no_grad()
def probe(network: Network, tokenizer: Tokenizer, lines: list[dict]) -> None:
    """By task on held-out problems: share answered exactly by greedy decoding, and probability of that answer at T = 0.8."""
    scores = defaultdict(list)
    ordered = sorted(zip(lines, encode(tokenizer, lines)), key=lambda pair: len(pair[1][0]))
    for at in range(0, len(ordered), 32):
        chunk = ordered[at : at + 32]
        tokens, _ = pad([row for _, row in chunk], max(len(row[0]) for _, row in chunk))
        logits = network.logits(network(tokens)).float()
        for row, (line, (ids, _)) in enumerate(chunk):
            answer = len(tokenizer.encode(line["parts"][-1], add_special_tokens=False).ids)
            span = slice(len(ids) - answer - 1, len(ids) - 1)
            target = ids[-answer:].long()
            exact = bool((logits[row, span].argmax(-1) == target).all())
            chosen = F.log_softmax(logits[row, span] / 0.8, -1).gather(1, target[:, None]).sum().exp().item()
            scores[line["task"]].append((exact, chosen))
    for task, rows in sorted(scores.items()):
        exact, chosen = (sum(column) / len(rows) for column in zip(*rows))
        print(f"  {task:28} {100 * exact:5.1f} %  at T=0.8 {100 * chosen:5.1f} %  of {len(rows)}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--held-out", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True, help="folder for nano-f16.gguf, tokenizer.json, weights.pt")
    arguments.add_argument("--minutes", type=float, default=25)
    arguments.add_argument("--rate", type=float, default=0.02)
    arguments.add_argument("--embedding-rate", type=float, default=0.004)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--resume", type=float, default=0.0, help="go on from the weights in --out at this share of the time")
    arguments.add_argument("--eager", action="store_true", help="without torch.compile")
    options = arguments.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)

    started = time.time()
    shape = Shape()
    lines = read_lines(options.data)
    if options.resume > 0:
        tokenizer = Tokenizer.from_file(str(options.out / "tokenizer.json"))
    else:
        tokenizer = train_tokenizer(("".join(line["parts"]) for line in lines[:60_000]), shape.vocabulary)
        tokenizer.save(str(options.out / "tokenizer.json"))
    (options.out / "tokenizer-cases.json").write_text(json.dumps(tokenizer_cases(tokenizer), ensure_ascii=True, indent=1) + "\n")
    data = encode(tokenizer, lines)
    held_out = read_lines(options.held_out)
    total = sum(len(tokens) for tokens, _ in data)
    learned = sum(int(mask.sum()) for _, mask in data)
    print(f"{len(data)} dialogues, {total} tokens, {learned} learned; prepared in {time.time() - started:.0f} s", flush=True)

    network = Network(shape)
    if options.resume > 0:
        network.load_state_dict(torch.load(options.out / "weights.pt"))
    print(f"{sum(parameter.numel() for parameter in network.parameters())} parameters", flush=True)
    hidden = [parameter for name, parameter in network.named_parameters() if parameter.dim() == 2 and "token_embd" not in name]
    others = [parameter for name, parameter in network.named_parameters() if parameter.dim() < 2 or "token_embd" in name]
    muon = Muon(hidden)
    adam = torch.optim.AdamW(others, lr=options.embedding_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    if not options.eager:
        for block in network.blk:
            block.compile(dynamic=True)

    started, step, seen, smooth, milestone = time.time(), 0, 0, 0.0, options.resume + 0.2
    def progress_now() -> float:
        return options.resume + (time.time() - started) / (60 * options.minutes)

    for tokens, learned_here in batches(data, options.seed, lambda: SHORT if progress_now() < SHORT_SHARE else LONGEST):
        progress = progress_now()
        if progress >= 1:
            break
        rate = rate_at(progress, step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            # Position i predicts token i + 1: the answer's first token is predicted at the prompt's last.
            states = network(tokens)[:, :-1][learned_here[:, 1:]]
            logits = network.logits(states)
        loss = F.cross_entropy(logits.float(), tokens[:, 1:][learned_here[:, 1:]])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step(options.rate * rate)
        for group in adam.param_groups:
            group["lr"] = options.embedding_rate * rate
        adam.step()
        for parameter in network.parameters():
            parameter.grad = None
        step += 1
        seen += tokens.numel()
        smooth = loss.item() if step == 1 else 0.98 * smooth + 0.02 * loss.item()
        if progress >= milestone:
            # What it can do so far, on a part of the problems; the learning rate is still high, so the end is better.
            milestone += 0.2
            torch.save(dict(network.state_dict()), options.out / "weights.pt")
            write_gguf(network, tokenizer, options.out / "nano-f16.gguf")
            probe(network, tokenizer, held_out[:290])
        if step % 200 == 0:
            seconds = time.time() - started
            print(f"step {step:5} {seconds:5.0f} s  loss {smooth:.4f}  {seen / seconds:.0f} tokens/s", flush=True)

    print(f"trained {step} steps, {seen} tokens in {(time.time() - started) / 60:.1f} minutes, loss {smooth:.4f}", flush=True)
    torch.save(dict(network.state_dict()), options.out / "weights.pt")
    write_gguf(network, tokenizer, options.out / "nano-f16.gguf")
    probe(network, tokenizer, held_out)


if __name__ == "__main__":
    main()
