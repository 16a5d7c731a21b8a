#!/usr/bin/env python3
"""A small random BERT in the layout of sentence-transformers, and the vectors that transformers gives for some texts.

    pip install torch==2.9.1 transformers==5.23.0 tokenizers safetensors
    tools/encoder_golden.py data/golden/bert                 writes model and vectors.json
    tools/encoder_golden.py --of MODEL_DIR                   prints the vectors of the same texts by another model

Pooling is written out from Reimers and Gurevych (2019): the mean of all token states, length 1. A text longer than the
model reads at once is cut into windows, each enclosed by [CLS] and [SEP]; the mean goes over the tokens of all of them.
"""
import json
import pathlib
import sys

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertConfig, BertModel

TEXTS = [
    "A 65-year-old man with chest pain was admitted.",
    "A man aged 65 years came to hospital with pain in his chest.",
    "She had no fever; Hb 9.5 g/dL, CRP 120 mg/L.",
    "",
    "naïve µg café – 38,5 °C [CLS] unknownword",
    " ".join(f"On day {day} he received 40 mg of furosemide and his weight fell to {90 - day} kg." for day in range(12)),
]


def vectors(directory):
    directory = pathlib.Path(directory)
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    model = BertModel.from_pretrained(directory, add_pooling_layer=False, dtype=torch.float32).eval()
    longest = model.config.max_position_embeddings
    settings = directory / "sentence_bert_config.json"
    if settings.is_file():
        longest = min(longest, json.loads(settings.read_text())["max_seq_length"])
    begin, end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    for text in TEXTS:
        # A special token's string in a text is nothing but text.
        parts = text.split("[CLS]")
        ids = tokenizer.encode(parts[0], add_special_tokens=False).ids
        for part in parts[1:]:
            for piece in ("[", "CLS", "]", part):
                ids += tokenizer.encode(piece, add_special_tokens=False).ids
        total = torch.zeros(model.config.hidden_size)
        for start in range(0, max(len(ids), 1), longest - 2):
            window = torch.tensor([[begin, *ids[start:start + longest - 2], end]])
            with torch.no_grad():
                total += model(input_ids=window).last_hidden_state[0].sum(0)
        yield text, (total / total.norm()).tolist()


def make(directory):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=specials))
    tokenizer.enable_truncation(24)  # as published encoders have it; what a text's vector is does not depend on it
    tokenizer.enable_padding(length=24)
    tokenizer.save(str(directory / "tokenizer.json"))
    torch.manual_seed(11)
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(), hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
                        intermediate_size=56, max_position_embeddings=40, initializer_range=0.4)
    model = BertModel(config, add_pooling_layer=False)
    for name, parameter in model.named_parameters():
        if "LayerNorm" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, 1.0 if name.endswith("LayerNorm.weight") else 0.0, 0.3)
    model.save_pretrained(directory)
    (directory / "sentence_bert_config.json").write_text('{"max_seq_length": 32, "do_lower_case": false}\n')
    (directory / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": 24, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling) + "\n")
    rows = [{"text": text, "vector": vector} for text, vector in vectors(directory)]
    (directory / "vectors.json").write_text(json.dumps(rows, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "--of":
        json.dump([{"text": text, "vector": vector} for text, vector in vectors(sys.argv[2])], sys.stdout)
    else:
        make(sys.argv[1])
