"""Checks a saved tokenizer directory against transformers. Called by crates/asclepius-text/tests/oracle.rs.

usage: tokenizer_oracle.py DIRECTORY, which holds a tokenizer and cases.json:
  texts          [{text, ids}]       texts from outside: special strings stay text, nothing is added
  conversations  [{messages, ids}]   rendered by the saved chat template, waiting for the assistant
  rows           [{messages, ids}]   a whole row: rendered with its answer
"""

import json
import pathlib
import sys

from transformers import AutoTokenizer

directory = pathlib.Path(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(directory)
cases = json.loads((directory / "cases.json").read_text())


def rendered_ids(messages, add_generation_prompt):
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def check(what, theirs, ours):
    assert theirs == ours, f"{what}\n  transformers {theirs}\n  ours         {ours}"


for case in cases["texts"]:
    plain = tokenizer(case["text"], add_special_tokens=False, split_special_tokens=True)["input_ids"]
    check(repr(case["text"]), plain, case["ids"])
    check("decoded", tokenizer.decode(plain), case["text"])
    begun = tokenizer(case["text"], split_special_tokens=True)["input_ids"]
    check("with the beginning", begun, [tokenizer.bos_token_id, *case["ids"]])
for case in cases["conversations"]:
    check(case["messages"], rendered_ids(case["messages"], True), case["ids"])
for case in cases["rows"]:
    check(case["messages"], rendered_ids(case["messages"], False)[: len(case["ids"])], case["ids"])
print(f"{type(tokenizer).__name__}: {sum(len(group) for group in cases.values())} cases agree")
