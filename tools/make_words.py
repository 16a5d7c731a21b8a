"""Writes the words that the identifier scan knows for no names: what stands in lower case in the project's own texts.

    python tools/make_words.py > crates/asclepius-text/src/gates/phi/lists/words.txt

Names that are also words in the lists beside it stay in both: such a name counts beside another one only.
"""

import html
import pathlib
import re
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXTS = [
    "data/case-reports/PMC9*.xml",
    "data/abbreviations.csv",
    "data/sample-note.txt",
    "crates/asclepius-synth/tests/**/*.txt",
    "crates/*/src/**/*.rs",
    "*.md",
    "docs/*.md",
]
SCAN = ROOT / "crates/asclepius-text/src/gates/phi"

words = set()
for pattern in TEXTS:
    for path in sorted(ROOT.glob(pattern)):
        if SCAN in path.parents or path.name == "phi.rs":
            continue
        text = html.unescape(re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8")))
        words.update(re.findall(r"(?<![\w’'.])[a-z]{3,}(?!\w)", text))
print("# Words of everyday and clinical language: what stands in lower case in the project's own texts.")
print(textwrap.fill(" ".join(sorted(words)), 160))
