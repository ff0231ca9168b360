"""Trains nano and writes it as GGUF. One command: see README.md beside this file.

Two ideas make a few minutes on two cores enough. Only what the assistant says is learned, so the output matrix is
applied to those positions alone; and the hidden matrices are updated by Muon (orthogonalised momentum), which needs
about half the steps of AdamW here. The learning rate follows the clock, so a run takes the minutes it was given.
One process for each core, each with a share of every batch: the network is too small for threads to divide its products.
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
import torch.distributed
import torch.multiprocessing
import torch.nn.functional as F
from tokenizers import Tokenizer

from export import write_gguf
from network import Network, Shape
from vocabulary import tokenizer_cases, train_tokenizer

LONGEST = 1024
LENGTH_STEP = 16
TOKENS_PER_STEP = 4096
# Short dialogues first: copying and arithmetic are found sooner where there is little else to look at.
SHORT, SHORT_SHARE = 96, 0.25
# The last part reads the second file, in which the hardest tasks come more often.
POLISH_SHARE = 0.25


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
            if len(bucket) == TOKENS_PER_STEP // length:
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
    """Share of the full rate: up over 100 steps, then down linearly to zero. Three times the rate hinders copying."""
    return min(1.0, step / 100) * (1 - progress)


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


def prepare(options: argparse.Namespace) -> None:
    """Learns the tokenizer and leaves it, its cases and the encoded dialogues in the output folder."""
    if not options.polish_only:
        lines = read_lines(options.data)
        tokenizer = train_tokenizer(("".join(line["parts"]) for line in lines[:60_000]), Shape().vocabulary)
        tokenizer.save(str(options.out / "tokenizer.json"))
        (options.out / "tokenizer-cases.json").write_text(json.dumps(tokenizer_cases(tokenizer), ensure_ascii=True, indent=1) + "\n")
        store(encode(tokenizer, lines), options.out / "data.pt")
    tokenizer = Tokenizer.from_file(str(options.out / "tokenizer.json"))
    store(encode(tokenizer, read_lines(options.polish)), options.out / "polish.pt")


def store(encoded: list[tuple[torch.Tensor, torch.Tensor]], file: Path) -> None:
    data = {
        "tokens": torch.cat([tokens for tokens, _ in encoded]),
        "learned": torch.cat([learned for _, learned in encoded]),
        "lengths": [len(tokens) for tokens, _ in encoded],
    }
    torch.save(data, file)
    print(f"{len(encoded)} dialogues, {len(data['tokens'])} tokens, {int(data['learned'].sum())} learned", flush=True)


def load(file: Path) -> list[tuple[torch.Tensor, torch.Tensor]]:
    stored = torch.load(file, mmap=True)
    return list(zip(stored["tokens"].split(stored["lengths"]), stored["learned"].split(stored["lengths"])))


class Exchange:
    """Sums over the processes: every gradient, and a few numbers that all have to know alike, in one buffer."""

    def __init__(self, parameters: list[torch.nn.Parameter], numbers: int):
        self.numbers = numbers
        self.buffer = torch.zeros(sum(parameter.numel() for parameter in parameters) + numbers)
        views = self.buffer[numbers:].split([parameter.numel() for parameter in parameters])
        # Gradients live in the buffer: backward adds into it, and nothing is copied.
        for parameter, view in zip(parameters, views):
            parameter.grad = view.view_as(parameter)

    def sum(self, *numbers: float) -> list[float]:
        """The sums of the numbers; gradients are divided by the first, the count of learned tokens."""
        self.buffer[: self.numbers] = torch.tensor(numbers)
        torch.distributed.all_reduce(self.buffer)
        sums = self.buffer[: self.numbers].tolist()
        self.buffer[self.numbers :] /= sums[0]
        return sums


def train(rank: int, options: argparse.Namespace) -> None:
    """One process of the run. All hold the same network and read the same batches, each its share of the rows."""
    rendezvous = f"file://{options.out.resolve()}/rendezvous"
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=options.processes)
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(options.out / "tokenizer.json"))
    held_out = read_lines(options.held_out)

    network = Network(Shape())
    if options.polish_only:
        network.load_state_dict(torch.load(options.out / "weights.pt"))
    parameters = list(network.parameters())
    hidden = [parameter for name, parameter in network.named_parameters() if parameter.dim() == 2 and "token_embd" not in name]
    others = [parameter for name, parameter in network.named_parameters() if parameter.dim() < 2 or "token_embd" in name]
    muon = Muon(hidden)
    adam = torch.optim.AdamW(others, lr=options.embedding_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    exchange = Exchange(parameters, numbers=3)
    for block in network.blk:
        block.compile(dynamic=True)

    def backward(tokens: torch.Tensor, learned_here: torch.Tensor) -> tuple[int, float]:
        """Adds to the gradients; gives the count of learned tokens and the sum of their losses."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            # Position i predicts token i + 1: the answer's first token is predicted at the prompt's last.
            states = network(tokens)[:, :-1][learned_here[:, 1:]]
            logits = network.logits(states)
        loss = F.cross_entropy(logits.float(), tokens[:, 1:][learned_here[:, 1:]], reduction="sum")
        loss.backward()
        return states.shape[0], loss.item()

    def say(text: str) -> None:
        if rank == 0:
            print(text, flush=True)

    def keep() -> None:
        torch.save(dict(network.state_dict()), options.out / "weights.pt")
        write_gguf(network, tokenizer, options.out / "nano-f16.gguf")

    # The blocks are compiled at their first use, here, before the clock starts.
    started = time.time()
    for shape in ((40, 48), (4, 400)):
        backward(torch.zeros(shape, dtype=torch.long), torch.ones(shape, dtype=torch.bool))
    torch.distributed.barrier()
    say(f"{sum(parameter.numel() for parameter in parameters)} parameters; compiled in {time.time() - started:.0f} s")

    first = 1 - POLISH_SHARE if options.polish_only else 0.0
    started, step, seen, smooth, milestone, progress = time.time(), 0, 0, 0.0, first + 0.25, first
    whole = batches([] if options.polish_only else load(options.out / "data.pt"), options.seed, lambda: SHORT if progress < SHORT_SHARE else LONGEST)
    polish = batches(load(options.out / "polish.pt"), options.seed, lambda: LONGEST)
    while progress < 1:
        tokens, learned_here = next(whole if progress < 1 - POLISH_SHARE else polish)
        seen += tokens.numel()
        tokens, learned_here = tokens[rank :: options.processes], learned_here[rank :: options.processes]
        exchange.buffer.zero_()
        count, loss = backward(tokens, learned_here)
        # The clocks' mean, so that all agree on the rate, on what to read next, and on when to stop.
        clock = first + (time.time() - started) / (60 * options.minutes)
        learned_tokens, loss_sum, clock_sum = exchange.sum(count, loss, clock)
        rate = rate_at(progress, step)
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step(options.rate * rate)
        for group in adam.param_groups:
            group["lr"] = options.embedding_rate * rate
        adam.step()
        step += 1
        progress = clock_sum / options.processes
        mean = loss_sum / learned_tokens
        smooth = mean if step == 1 else 0.98 * smooth + 0.02 * mean
        if rank == 0 and progress >= milestone:
            # What it can do so far, on a part of the problems; the learning rate is still high, so the end is better.
            milestone += 0.25
            keep()
            probe(network, tokenizer, held_out[: len(held_out) // 15])
        if step % 200 == 0:
            seconds = time.time() - started
            say(f"step {step:5} {seconds:5.0f} s  loss {smooth:.4f}  {seen / seconds:.0f} tokens/s")

    say(f"trained {step} steps, {seen} tokens in {(time.time() - started) / 60:.1f} minutes, loss {smooth:.4f}")
    if rank == 0:
        keep()
        probe(network, tokenizer, held_out)
    torch.distributed.destroy_process_group()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--polish", type=Path, required=True, help="dialogues of the last quarter")
    arguments.add_argument("--held-out", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True, help="folder for nano-f16.gguf, tokenizer.json, weights.pt")
    arguments.add_argument("--minutes", type=float, default=28)
    arguments.add_argument("--rate", type=float, default=0.008)
    arguments.add_argument("--embedding-rate", type=float, default=0.002)
    arguments.add_argument("--processes", type=int, default=2, help="of one thread each")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--polish-only", action="store_true", help="the last quarter again, from the weights in --out")
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "rendezvous").unlink(missing_ok=True)
    started = time.time()
    prepare(options)
    print(f"prepared in {time.time() - started:.0f} s", flush=True)
    torch.multiprocessing.spawn(train, args=(options,), nprocs=options.processes)


if __name__ == "__main__":
    main()
