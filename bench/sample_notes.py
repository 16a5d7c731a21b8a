"""Notes to measure with, drawn with a seed from the sentences of the repository's own sample notes.

Those are few, and a text that repeats them would flatter whatever remembers: so every number is changed, and one word in
eight is another, of three syllables, out of 64,000. Clinical texts repeat themselves more than that.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SYLLABLES = (
    "al am an ar ba bi ca cor da de di do en ex fi fla ga gen hy in ka la lo lu ma me mi mo na ne no "
    "or pa per ra ro sa ta ti vo"
).split()


def sentences():
    """The sentences of the sample notes, sorted."""
    import pyarrow.parquet as pq

    sources = sorted((ROOT / "data/ci-tiny/notes").glob("*.parquet"))
    notes = [note for source in sources for note in pq.read_table(source)["note"].to_pylist()]
    return sorted({line.strip() for note in notes for line in note.replace(". ", ".\n").splitlines() if line.strip()})


def draw_note(draw, known):
    """8 to 40 of the `known` sentences, varied, a line each."""

    def other(word):
        return word if draw.random() > 0.125 else "".join(draw.choices(SYLLABLES, k=3))

    def vary(sentence):
        words = " ".join(other(word) for word in sentence.split(" "))
        return re.sub("[0-9]", lambda _: draw.choice("0123456789"), words)

    return "\n".join(vary(sentence) for sentence in draw.choices(known, k=draw.randint(8, 40)))
