"""The tokenizer: byte-level BPE with the splitting rule that llama.cpp calls `qwen2`, so every digit is one token.

A word has the same tokens wherever it stands: `Ana` after a space, after a quotation mark, and at the start of a line. A small
model copies names out of a text only where it need not also learn how each is spelled elsewhere. So merges are learned on words
without the space before them; then words that hardly ever stand anywhere but after a space (`is`, `the`, `numbers`) take it in.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

# Control tokens are never shown; the others are text that a client may have to see, such as the border of a tool call.
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKERS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>")

# llama.cpp, src/llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_QWEN2.
SPLIT = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


# The same rule with words by themselves: what it splits, SPLIT may leave together, but no merge joins the two parts.
SPLIT_WORDS = SPLIT.replace(r"[^\r\n\p{L}\p{N}]?\p{L}+", r"\p{L}+")

# At most this many words take in the space before them: each stands after a space this often, and in this share of its places.
SPACED_WORDS, SPACED_TIMES, SPACED_SHARE = 250, 100, 0.98


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    texts = list(texts)
    tokenizer = new_tokenizer(models.BPE(), SPLIT_WORDS)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in (*CONTROL, *MARKERS)],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    spaced = spaced_words(texts, {text for text, at in model["vocab"].items() if at < size - SPACED_WORDS})[:SPACED_WORDS]
    vocabulary = {text: at for text, at in model["vocab"].items() if at < size - len(spaced)}
    merges = [tuple(merge) for merge in model["merges"] if "".join(merge) in vocabulary]
    for word in spaced:
        vocabulary["Ġ" + word] = len(vocabulary)
        merges.append(("Ġ", word))
    tokenizer = new_tokenizer(models.BPE(vocab=vocabulary, merges=merges), SPLIT)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in (*CONTROL, *MARKERS)])
    return tokenizer


def new_tokenizer(model: models.BPE, split: str) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def spaced_words(texts: list[str], vocabulary: set[str]) -> list[str]:
    """Words of one token that stand almost only after a space, the most frequent first."""
    places = Counter(found for text in texts for found in re.findall(r"( ?)([A-Za-z]+)", text))
    counts = {word: (count, places["", word]) for (space, word), count in places.items() if space and word in vocabulary}
    often = [word for word, (count, bare) in counts.items() if count >= SPACED_TIMES and count >= SPACED_SHARE * (count + bare)]
    return sorted(often, key=lambda word: -counts[word][0])


# Texts whose tokens are written beside the model, so that a test can hold libllama to the same ones.
CASES = (
    "What is goodput?",
    "47 + 38 = 85.",
    "1234567890",
    "  two  spaces, a tab\tand\n\nnew lines \n",
    'Extract name and age as JSON: {"name": "Ana", "age": 34}',
    "don't, I'll, we've, IT'S",
    "Grüße aus Zürich: 3 € für Müsli",
    "日本語のテキスト and emoji 🚀👩‍🚀",
    "кириллица, ελληνικά, עברית, العربية",
    "a\u0301 combining, zero\u200bwidth, \u00a0no-break",
    "x\u0001y\u007f control",
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    "<tools>\nf(x: string): Do it\n</tools><tool_response>\n3\n</tool_response>",
    "snake_case camelCase SCREAMING-KEBAB https://example.org/a?b=c#d",
    "",
)


def tokenizer_cases(tokenizer: Tokenizer) -> list[dict]:
    """Each text by itself, and as the message that opens a dialogue."""
    return [
        {"text": text, "chat": chat, "tokens": tokenizer.encode(rendered, add_special_tokens=False).ids}
        for text in CASES
        for chat, rendered in (
            (False, text),
            (True, f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"),
        )
    ]
