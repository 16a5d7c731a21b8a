#!/usr/bin/env python3
"""Scores of the field's own Python code, for crates/asclepius-text/tests/scores.rs.

    pip install rouge-score==0.1.2 nervaluate==1.2.1 python-dateutil scikit-learn
    tools/scores_golden.py > crates/asclepius-text/tests/scores.json

ROUGE-L is rouge_score's. Token F1 and exact match are written out from the definition of SQuAD's evaluation script, which
is no package. Spans are nervaluate's: its strict counts, and those of `ent_type`, which asks for any overlap. Dates are
dateutil's.
"""
import collections
import json
import random
import re
import string
import sys

from dateutil import parser as dates
from nervaluate import Evaluator
from rouge_score import rouge_scorer

TEXTS = [
    "Aspirin 100 mg daily.", "the aspirin, 100 mg a day", "A 65-year-old man with chest pain; BP 140/90 mmHg.",
    "Chest pain in a man of 65 years, BP 140/90.", "", "The", "No fever. No chills.", "no chills, no fever",
    "T-cell lymphoma (stage II), Hb 9.5 g/dL", "Hb 9.5, T cell lymphoma of stage II", "naïve µg café – 38,5 °C",
    "cafe 38.5", "He improved and was discharged on day 6 with amoxicillin.", "Discharged on day 6, improved.",
]


def squad_tokens(text):
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def squad_f1(answer, reference):
    answer, reference = squad_tokens(answer), squad_tokens(reference)
    if not answer or not reference:
        return float(answer == reference)
    same = sum((collections.Counter(answer) & collections.Counter(reference)).values())
    if not same:
        return 0.0
    precision, recall = same / len(answer), same / len(reference)
    return 2 * precision * recall / (precision + recall)


def pairs():
    rouge = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    for answer in TEXTS:
        for reference in TEXTS:
            yield {
                "answer": answer, "reference": reference, "token_f1": squad_f1(answer, reference),
                "exact_match": squad_tokens(answer) == squad_tokens(reference),
                "rouge_l": rouge.score(reference, answer)["rougeL"].fmeasure,
            }


def spans():
    """Mentions drawn from notes whose words are all different, so that a mention has one place."""
    draw = random.Random(4)
    words = [a + b for a in ("bra", "cor", "dys", "fem", "gas") for b in ("lia", "mus", "nia", "pex", "tor", "vus")]
    for _ in range(40):
        note = draw.sample(words, 20)

        def some():
            found, at = [], 0
            while at < len(note):
                at += draw.randint(0, 4)
                end = min(at + draw.randint(1, 3), len(note))
                if at < end:
                    found.append((at, end))
                at = end + 1
            return draw.sample(found, draw.randint(1, len(found)))

        expected, predicted = some(), some()
        as_dicts = lambda spans: [{"label": "x", "start": a, "end": b - 1} for a, b in sorted(spans)]
        results = Evaluator([as_dicts(expected)], [as_dicts(predicted)], tags=["x"], loader="dict").evaluate()["overall"]
        listed = lambda spans: ", ".join(" ".join(note[a:b]) for a, b in spans)
        yield {
            "note": " ".join(note) + ".", "answer": listed(predicted), "reference": listed(expected),
            "exact": results["strict"].correct, "overlapping": results["ent_type"].correct,
            "predicted": len(predicted), "expected": len(expected),
        }


def days():
    for text in [
        "2020-03-12", "March 12, 2020", "12 March 2020", "12th of March 2020", "3/12/2020", "25/12/2019", "Dec 1, 2018",
        "1 Sept 2011", "4/5/21", "Aug. 9, 2015", "31 January 1999",
    ]:
        yield {"text": text, "date": dates.parse(text).date().isoformat()}


json.dump({"pairs": list(pairs()), "spans": list(spans()), "dates": list(days())}, sys.stdout, ensure_ascii=False, indent=1)
print()
