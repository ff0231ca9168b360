"""Writes a trained network as GGUF: matrices in F16, norms in F32, tokenizer and chat template in the metadata."""

import json
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer

from network import Network
from vocabulary import CONTROL, MARKERS

CHAT_TEMPLATE = Path(__file__).with_name("chat-template.jinja")


def write_gguf(network: Network, tokenizer: Tokenizer, path: Path) -> None:
    shape = network.shape
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("nano")
    writer.add_description("The bundled model of Tokenmill, trained on its own generated data.")
    writer.add_license("apache-2.0")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    add_tokenizer(writer, tokenizer)
    writer.add_chat_template(CHAT_TEMPLATE.read_text())
    for name, tensor in network.state_dict().items():
        values = tensor.float().numpy()
        writer.add_tensor(name, values.astype(np.float16) if values.ndim == 2 else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    kinds = [
        gguf.TokenType.CONTROL if text in CONTROL else gguf.TokenType.USER_DEFINED if text in MARKERS else gguf.TokenType.NORMAL
        for text in tokens
    ]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    end_of_text, _, end_of_turn = (tokens.index(text) for text in CONTROL)
    writer.add_bos_token_id(end_of_text)
    writer.add_pad_token_id(end_of_text)
    writer.add_eos_token_id(end_of_turn)
    writer.add_eot_token_id(end_of_turn)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
