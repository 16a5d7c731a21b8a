//! The closed lists behind the faithfulness gates: words that carry no fact, units, drugs, findings.

use std::sync::LazyLock;

use regex::Regex;
use rustc_hash::{FxHashMap, FxHashSet};

/// Words that say nothing about a particular patient: grammar, and what any note or report may say.
static COMMON: LazyLock<FxHashSet<&str>> = LazyLock::new(|| {
    "a about above according across active actually acute added adequate adjusted administered admission admit admitted adult after again \
age aged ago all along already also although always among amount an and another any appeared appropriate approximately are around arrival arrived as \
assessed assessment associated at attended back baseline be because became been before began begun being below better between \
both but by came can care case cause caused chief child clear clinic clinical clinically come complain complained complaint complaints complete \
completed complications condition confirmed consent considered consistent consisted contact continue continued control \
controlled could course current currently daily day days decided decision denied denies department despite detailed detected \
determined developed diagnosed diagnosis did discharge discharged discharging discovered discussed disease do documented does \
done drug due during each early either elective elevated emergency ended episode episodes established evaluated evaluation every \
evidence evident exam examination examined except experienced extensive family few final finally finding findings first follow followed \
following for found from full further gave general given gradually had has have having he health healthy help her here high him himself his \
history home hospital hospitalised hospitalized hospitalization hour hours however if illness immediate immediately impression improved \
improvement improving in including increase increased increasing indicated initial initially initiated instructions \
into investigation investigations is it its known lab laboratory labs last late later led left less level levels likely limits local long lot low \
lower made maintained male man management managed marked markedly may measured measuring medical medication medications medicine \
mild minute minutes moderate month months more morning most much multiple name near nearly need needed negative new next night no none normal \
not note noted notes nothing now number observed obtained occurred of off on once one ongoing only onset onto or oral other \
otherwise our out outcome outpatient over overall own past patient patients per performed period persistent person physical place placed plan \
planned point positive possible post pre present presentation presented presenting presents previous previously primary prior \
probable problem procedure procedures progress progressed progressive progressively proved provided rapid rate reason received recent recently recommended \
recovered recovery reduced referred regarding regular related released remained remains remarkable repeat repeated reported reports required respectively \
response rest result resulted results revealed review reviewed right routine said same scheduled second section seen severe sex she short \
should show showed showing shown side sign significant significantly signs since single site size slight slightly small so some soon stable stage standard \
start started status still stopped subsequent subsequently such suddenly suggested suggestive suggesting summary supported suspected symptom symptomatic symptoms \
system systems taken taking test tested tests than that the their them then therapy there therefore these they third this those \
though three through throughout thus time times to today together told took total toward treat treated treatment twice two type unable \
uneventful unknown unremarkable until up upon use used using usual various very visit visited vital vitals was we week weeks well went were \
when where whereas whether which while who whom whose will with within without woman worse year years yes yet you young \
female boy girl yo old gentleman lady infant pt hpi pmh ros dx hx fu f/u service date mg ml cm mm kg day's allergies nkda social systems review \
assessment disposition attending instructions follow-up surgical surgery tolerated underwent include includes included good poor fair \
remain mention mentioned states stated state answer question describe described given line refers mean means stands value values \
yrs mth mths wks hrs mins secs"
        .split_whitespace()
        .collect()
});

/// Whether any text may hold the word.
pub(super) fn is_common(word: &str) -> bool {
    COMMON.contains(word)
}

/// Whether a word can carry a fact of this patient.
pub(super) fn is_content(word: &str) -> bool {
    word.len() >= 3 && word.chars().any(char::is_alphabetic) && !COMMON.contains(word)
}

/// Drugs by every name in the lists, and the one that stands for all of its names.
static DRUG_NAMES: LazyLock<FxHashMap<&str, &str>> = LazyLock::new(|| {
    let groups = |list: &'static str| {
        let lines = list.lines().filter(|line| !line.starts_with('#'));
        lines.flat_map(str::split_whitespace).map(|group| group.split('=').collect::<Vec<&str>>())
    };
    let mut drugs: FxHashMap<&str, &str> = FxHashMap::default();
    for group in groups(include_str!("drugs.txt")).chain(groups(include_str!("more_drugs.txt"))) {
        // One that the lists before have under another name keeps that.
        let first = group.iter().find_map(|name| drugs.get(name).copied()).unwrap_or(group[0]);
        for name in group {
            drugs.entry(name).or_insert(first);
        }
    }
    drugs
});

static DRUG_ENDING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(?:[a-z]{2,}(?:cillin|mycin|micin|floxacin|cycline|conazole|nidazole|prazole|sartan|[^a]pril|olol|[vs]tatin|[aou]mab|[tl][iu]zumab|tinib|[aeilo]vir|[^a]parin|xaban|gatran|lukast|tidine|setron|gliptin|gliflozin|glitazone|semide|thiazide|triptan|barbital|azepam|azolam|dipine|platin|rubicin|taxel|penem|poetin|dronate|profen|curonium|fenac|coxib|tecan|bactam|fungin|ciclib|parib)|(?:cef|sulfa|predni)[a-z]{3,})$",
    )
    .expect("the pattern is valid")
});

/// The generic name of a drug in lower case, if the word is one.
pub(super) fn drug(word: &str) -> Option<&str> {
    if word.len() < 3 {
        return None;
    }
    generic(word).or_else(|| (word.len() > 5 && DRUG_ENDING.is_match(word)).then_some(word))
}

/// Whether a word that the lists do not have is this drug's name, misspelt: "meropemen".
pub(super) fn misspells(word: &str, of: &str) -> bool {
    /// Shorter names are too near to words.
    const LEAST: usize = 7;
    const SLIPS: usize = 2;
    let near = word.len().abs_diff(of.len()) <= SLIPS && word.as_bytes().first() == of.as_bytes().first();
    of.len() >= LEAST && near && generic(word).is_none() && strsim::levenshtein(word, of) <= SLIPS
}

/// The generic name of a drug that the lists have.
pub(super) fn generic(word: &str) -> Option<&'static str> {
    DRUG_NAMES.get(word).copied()
}

/// Whether a word is the name of a disease, a finding or a procedure by its ending or by itself.
pub(super) fn is_clinical(word: &str) -> bool {
    static ENDING: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:itis|[^t]oma|omas|emia|osis|opathy|penia|plegia|paresis|ectomy|ostomy|otomy|plasty|scopy|uria|algia|rrhea|trophy|megaly|sclerosis|emesis|phagia|pnea)$").expect("the pattern is valid")
    });
    const OTHERS: &[&str] = &[
        "fever",
        "cough",
        "headache",
        "nausea",
        "vomiting",
        "pain",
        "rash",
        "edema",
        "swelling",
        "fatigue",
        "weakness",
        "dizziness",
        "syncope",
        "seizure",
        "seizures",
        "chills",
        "jaundice",
        "cyanosis",
        "pallor",
        "clubbing",
        "murmur",
        "tenderness",
        "bleeding",
        "erythema",
        "lesion",
        "lesions",
        "mass",
        "masses",
        "effusion",
        "fracture",
        "hernia",
        "hemorrhage",
        "metastases",
        "metastasis",
        "thrombus",
        "thrombosis",
        "embolism",
        "infection",
        "diabetes",
        "hypertension",
        "asthma",
        "smoking",
        "smoker",
        "alcohol",
        "allergy",
        "allergies",
        "trauma",
        "diarrhea",
        "constipation",
        "icterus",
        "infarction",
        "ischemia",
        "stroke",
        "abscess",
        "deficit",
        "deficits",
        "recurrence",
        "lymphadenopathy",
        "tumor",
        "tumour",
        "cancer",
        "carcinoma",
        "ulcer",
        "ulcers",
        "stenosis",
        "obstruction",
        "dilatation",
        "dilation",
    ];
    OTHERS.contains(&word) || (word.len() > 5 && word != "diagnosis" && word != "prognosis" && ENDING.is_match(word))
}
