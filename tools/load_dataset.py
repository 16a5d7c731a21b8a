"""Loads a folder that `asclepius data export` wrote with the `datasets` library, as anybody would, and holds what comes
to the folder's card: configurations, splits, rows, and every column's type.

    python tools/load_dataset.py FOLDER      exit status 77: datasets is not installed

Prints rows by configuration and split as JSON. Asks no network.
"""

import json
import os
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
try:
    import datasets
    import yaml
except ImportError as missing:
    print(missing.name)
    sys.exit(77)

PUBLISHED = {"patient_id": "int64", "note": "string", "question": "string", "answer": "string", "task": "string"}


def declared(folder):
    """The card's front matter."""
    with open(os.path.join(folder, "README.md"), encoding="utf-8") as card:
        head = card.read().split("\n---\n", 1)[0]
    return yaml.safe_load(head.removeprefix("---\n"))


def main(folder):
    card, found = declared(folder), {}
    assert [config["config_name"] for config in card["configs"]] == ["instructions", "notes"]
    for info in card["dataset_info"]:
        name = info["config_name"]
        features = datasets.Features._from_yaml_list(info["features"])
        with tempfile.TemporaryDirectory() as cache:
            loaded = datasets.load_dataset(folder, name, cache_dir=cache)
            rows = {split: len(part) for split, part in loaded.items()}
            assert rows == {split["name"]: split["num_examples"] for split in info["splits"]}, rows
            for split, part in loaded.items():
                assert part.features == features, (name, split, part.features, features)
                for row in part:
                    assert row["split"] == split
                    assert all(score is None or isinstance(score, float) for score in row["scores"].values())
                    for span in row.get("evidence", []):
                        assert 0 <= span["start"] < span["end"] <= len(row["note"].encode()), span
            articles = [set(part["article_id"]) for part in loaded.values()]
            assert not set.intersection(*articles), "an article is on both sides"
        if name == "instructions":
            first = list(features.items())[:5]
            assert {column: feature.dtype for column, feature in first} == PUBLISHED, first
        found[name] = {"rows": rows, "columns": len(features)}
    print(json.dumps(found))


main(sys.argv[1])
