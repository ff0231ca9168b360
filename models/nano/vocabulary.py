"""The tokenizer: byte-level BPE with the splitting rule that llama.cpp calls `qwen2`, so every digit is one token."""

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


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in (*CONTROL, *MARKERS)],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


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
