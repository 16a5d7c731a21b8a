//! Statements and clinical terms that the source knows nothing of.

use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

use super::concepts::{self, Sort};
use super::lexicon;
use super::reading::{Reading, Word, stem};

/// A statement needs this many words with content to be judged as a whole.
const FEWEST_WORDS: usize = 4;
/// Least share of a statement's content that the source must hold somewhere, and in one sentence. A text that is to say
/// things in other words is held to less.
const LEAST_KNOWN: f32 = 0.5;
const LEAST_KNOWN_REWORDED: f32 = 0.3;
const LEAST_TOGETHER: f32 = 0.25;
/// Share of a long statement's content that must be known, where no sentence of the source holds much of it.
const SCATTERED: f32 = 0.7;

/// Words for one thing, a group a line: what a doctor writes and what a report says.
const SAME: &str = "cancer carcinoma malignancy malignant tumor tumour neoplasm mass
bleeding hemorrhage haemorrhage blood
fracture broken
hypertension hypertensive
pyrexia fever febrile afebrile temperature
dyspnea breath breathless breathlessness
pruritus itch itching itchy pruritic
emesis vomiting
lymphadenopathy lymph node nodes
smoker smoking smoked tobacco cigarettes
clot thrombus thrombosis
anemia anemic hemoglobin
paralysis plegia paresis weakness
metastasis metastases metastatic mets
dilatation dilation dilated
jaundice jaundiced icterus icteric yellow
arthralgia joint joints knee knees aching ache
myalgia muscle muscles aching
fatigue tired tiredness lethargy malaise exhaustion
dysmenorrhea periods menstruation menses cycle
hemoptysis coughed
dysphagia swallowing swallow
syncope syncopal faint fainted collapse collapsed consciousness
edema swelling swollen
erythema redness red
rash eruption exanthem
laparotomy operation surgery
hypotonia tone floppy
photophobia light
seizure seizures convulsion convulsions fit fits epilepsy
diaphoresis sweating sweats
anorexia appetite
lesion patch nodule plaque
excision excised resection resected removed removal
born birth delivery delivered
died death dead
spleen splenic splenomegaly
meningism stiffness stiff meningeal meningitis nuchal neck
dysuria burning urination micturition
adenopathy lymphadenopathy nodes
palpable felt palpated
response improvement benefit
necropsy autopsy
kidney kidneys renal nephr
liver hepatic
lung lungs pulmonary chest respiratory
heart cardiac
brain cerebral intracranial
stomach gastric
bowel bowels intestine intestinal gut
bladder vesical
skin cutaneous dermal
eye eyes ocular ophthalmic vision visual sight acuity
ear ears auditory hearing deafness
bone bones osseous skeletal
vein veins venous
artery arteries arterial
nerve nerves neural
thyroid hypothyroidism underactive levothyroxine
adrenal addison adrenals
diarrhea loose stools stool motions
constipation constipated
amenorrhea periods menstruation menses
rupture ruptured tear laceration lacerated burst
trauma injury injured blow kick kicked accident
abdomen abdominal belly tummy
urine urinary diuresis voiding micturition
weight lost loss thinner kg
walk walking walked mobilised mobile ambulatory gait
breathing ventilation ventilated ventilator intubated
scan imaging tomography resonance ultrasound echocardiogram echocardiography radiograph
opacity opacities shadowing consolidation infiltrate infiltrates
infection infected sepsis septic pneumonia cellulitis bacteremia
antibiotic antibiotics antimicrobial
steroid steroids corticosteroid corticosteroids prednisolone prednisone methylprednisolone dexamethasone hydrocortisone
fluid fluids saline crystalloid
fluid ascites
transfusion transfused units
relapse relapsed recurrence recurred returned return came
remission stable settled resolved resolution cleared disappeared vanished gone
alive well healthy
discomfort pain ache sore soreness tender tenderness
headache headaches head
nausea sick vomiting
dizzy dizziness lightheaded vertigo
weak weakness power strength
numb numbness sensation sensory
confused confusion disoriented drowsy mute
anxious anxiety worried
sleep insomnia asleep
alcohol drink drinks drinking drank wine beer units
exercise exertion exerted exerting strenuous
medicine medicines medication drugs tablets
balance ataxia unsteadiness gait
puncture lumbar cerebrospinal
germ bacteria bacterial organism pathogen
virus viral
allergy allergic
tablet tablets oral mouth
injection injected infusion intravenous
biopsy histology specimen
blocked obstruction obstructed occlusion occluded stenosis stricture narrowing narrowed
enlarged enlargement big large swollen megaly
shrunk shrunken smaller decreased
hypotension pressure hypotensive
tachycardia pulse rate
hypoxia saturation oxygen
hypoglycemia glucose sugar
hyponatremia sodium
hypernatremia sodium
hypokalemia potassium
hyperkalemia potassium
hypocalcemia calcium
hypercalcemia calcium
thrombocytopenia platelets platelet
leukocytosis white leukocytes
neutropenia neutrophils
eosinophilia eosinophils
proteinuria protein
hematuria blood
uremia urea creatinine
hyperpigmentation pigmented pigmentation darkening dark
craving taken drinking
tired fatigue exhausted
tapered weaned weaning reduced lowered wean taper";

/// Words of a note's frame, and of telling in general.
static FRAME: LazyLock<FxHashSet<&str>> = LazyLock::new(|| {
    "background comorbidities comorbidity problem issue side effects effect apart addition additional matched \
prevent prevented avoid meant means commenced withdrawn limited gradually thanks thank dear colleague \
sincerely team known unknown throughout brief principal secondary features feature criteria indicated labelled \
thought believed suspicion precipitated triggered attributed explained noticed roughly kept keeps doing going \
getting looked looks felt feels seemed appears appear happened occurring passed started starting stop stopping \
restarted switched changed unchanged similar different later earlier meanwhile eventually currently formerly \
else elsewhere overall weekly monthly yearly hourly helped eased wakes woke woken lives lived living alone contacts palpable"
        .split_whitespace()
        .collect()
});

/// Words of telling and of daily life.
static EVERYDAY: LazyLock<FxHashSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("statements/everyday.txt").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).collect()
});
/// What one of them, unknown to the source, counts beside other words.
const EVERYDAY_COUNTS: f32 = 0.25;
/// Begin a line that draws a conclusion: "Imp: ...".
const CONCLUDES: &[&str] = &[
    "a",
    "ap",
    "assessment",
    "imp",
    "impression",
    "dx",
    "diagnosis",
    "diagnoses",
    "final",
    "admission",
    "discharge",
    "principal",
    "primary",
    "conclusion",
    "working",
    "provisional",
    "mdm",
];
/// What a heading calls the note, and how many words with content one has at most.
const PAPERS: &[&str] = &["clinic", "consult", "consultation", "letter", "note", "referral", "reply", "summary"];
const LONGEST_HEADING: usize = 6;
/// Clinical words that name no entity of their own.
const GENERIC: &[&str] = &[
    "recurrence",
    "recurrences",
    "infection",
    "infections",
    "lesion",
    "lesions",
    "diagnosis",
    "prognosis",
    "symptoms",
    "deficit",
    "deficits",
];

/// [`SAME`] by what its words begin with.
struct Groups {
    /// The beginnings in each group.
    stems: Vec<Vec<String>>,
    /// The groups of each beginning.
    by_stem: FxHashMap<String, Vec<usize>>,
}

static GROUPS: LazyLock<Groups> = LazyLock::new(|| {
    let stems: Vec<Vec<String>> = SAME
        .lines()
        .map(|line| line.split(' ').map(|word| stem(concepts::of(word).unwrap_or(word))).collect())
        .collect();
    let mut by_stem: FxHashMap<String, Vec<usize>> = FxHashMap::default();
    for (group, same) in stems.iter().enumerate() {
        for stem in same {
            by_stem.entry(stem.clone()).or_default().push(group);
        }
    }
    Groups { stems, by_stem }
});

/// Statements without support, and clinical terms without support in the others.
///
/// `measured` tells of a sentence whether its figures speak for it.
pub(super) fn unsupported(
    text: &Reading,
    source: &Reading,
    overlaps: &[Vec<f32>],
    reworded: bool,
    measured: &dyn Fn(usize) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    let knows = |word: &Word| {
        source.by_stem.contains_key(&word.stem) || alike(&word.stem, source) || source.knows_word(&word.text)
    };
    let least = if reworded { LEAST_KNOWN_REWORDED } else { LEAST_KNOWN };
    for (index, (sentence, overlaps)) in text.sentences.iter().zip(overlaps).enumerate() {
        // An abbreviation that the table lacks says neither that the source knows the thing nor that it does not.
        let content: Vec<&Word> = sentence
            .words
            .iter()
            .filter(|word| {
                !word.stem.is_empty()
                    && !FRAME.contains(word.text.as_str())
                    && (!(word.capitals || word.expanded) || source.known.contains(&word.text))
            })
            .collect();
        let total = content.len();
        // What a doctor concludes is in words of his own, as long as it is about this patient.
        let concludes = CONCLUDES.contains(&sentence.words.first().map_or("", |word| word.text.as_str()))
            && sentence.line.contains(':')
            && content.iter().any(|word| knows(word));
        let names_paper = total <= LONGEST_HEADING
            && sentence.quantities.is_empty()
            && sentence.words.iter().any(|word| PAPERS.contains(&word.text.as_str()));
        if concludes || names_paper {
            continue;
        }
        let (known, unknown): (Vec<&Word>, Vec<&Word>) = content.into_iter().partition(|word| knows(word));
        let everyday = unknown.iter().filter(|word| EVERYDAY.contains(word.text.as_str())).count() as f32;
        let weight = total as f32 - (1.0 - EVERYDAY_COUNTS) * everyday;
        let known = if total == 0 { 0.0 } else { known.len() as f32 / weight };
        let together = overlaps.iter().copied().fold(0.0, f32::max);
        let scattered = !reworded && total > FEWEST_WORDS + 2 && together < LEAST_TOGETHER && known < SCATTERED;
        if total >= FEWEST_WORDS && (known < least || scattered) && !measured(index) {
            found.push(sentence.line.trim().to_owned());
            continue;
        }
        let mut foreign: Vec<&str> = sentence
            .words
            .iter()
            .filter(|word| is_term(word, reworded) && lexicon::drug(&word.text).is_none())
            .filter(|word| !(GENERIC.contains(&word.text.as_str()) || word.joined && word.stem.is_empty()))
            .filter(|word| {
                !word.expanded
                    && !knows(&Word {
                        stem: if word.stem.is_empty() { stem(&word.text) } else { word.stem.clone() },
                        ..(*word).clone()
                    })
                    && !is_derived(&word.text, source)
            })
            .map(|word| word.text.as_str())
            .collect();
        foreign.sort_unstable();
        foreign.dedup();
        found.extend(foreign.into_iter().map(str::to_owned));
    }
    found
}

/// Whether a word names a disease or a finding of its own, and not what another word or a figure tells as well.
fn is_term(word: &Word, reworded: bool) -> bool {
    let named = word.sort == Some(Sort::Finding) && !concepts::of(&word.text).is_none_or(|name| VAGUE.contains(&name));
    let organ = word.sort == Some(Sort::Other) && concepts::of(&word.text).is_some_and(|name| ORGANS.contains(&name));
    ((named || organ) && !reworded) || lexicon::is_clinical(&word.text)
}

/// Organs that no note names in passing.
const ORGANS: &[&str] = &[
    "adrenal",
    "appendix",
    "bladder",
    "breast",
    "esophagus",
    "gallbladder",
    "ovary",
    "pancreas",
    "penis",
    "prostate",
    "retina",
    "scrotum",
    "spleen",
    "testis",
    "thyroid",
    "tonsil",
    "ureter",
    "uterus",
];

/// Findings that are said in many ways, by parts of other words, or by figures.
const VAGUE: &[&str] = &[
    "adhesion",
    "agitation",
    "allergy",
    "anorexia",
    "anxiety",
    "atrophy",
    "bacteremia",
    "blister",
    "bleeding",
    "bradycardia",
    "calcification",
    "calculus",
    "clot",
    "coma",
    "compression",
    "confusion",
    "consanguinity",
    "consolidation",
    "cough",
    "cramp",
    "cyst",
    "death",
    "delirium",
    "dehydration",
    "depression",
    "distension",
    "edema",
    "effusion",
    "embolism",
    "enlargement",
    "erosion",
    "erythema",
    "faint",
    "fatigue",
    "fever",
    "fibrosis",
    "fracture",
    "guarding",
    "hyperglycemia",
    "hypertension",
    "hypoglycemia",
    "hypotension",
    "hypothermia",
    "hypotonia",
    "hypoxia",
    "incontinence",
    "induration",
    "infarct",
    "infection",
    "infiltrate",
    "inflammation",
    "injury",
    "irritable",
    "ischemia",
    "insomnia",
    "intoxication",
    "poisoning",
    "laceration",
    "leak",
    "loss of consciousness",
    "lymph node",
    "malformation",
    "malignancy",
    "mass",
    "metastasis",
    "necrosis",
    "nodule",
    "numbness",
    "obstruction",
    "occlusion",
    "oliguria",
    "opacity",
    "pain",
    "pallor",
    "palsy",
    "perforation",
    "plaque",
    "polyuria",
    "pregnancy",
    "pus",
    "rash",
    "recurrence",
    "resuscitation",
    "rigidity",
    "rupture",
    "scar",
    "sclerosis",
    "shock",
    "spasm",
    "stenosis",
    "stiffness",
    "tachycardia",
    "tachypnea",
    "tenderness",
    "thickening",
    "tumor",
    "ulcer",
    "weakness",
    "weight loss",
    "withdrawal",
    "ataxia",
    "anaphylaxis",
    "sepsis",
    "thrombosis",
    "thrombus",
    "vomiting",
    "nausea",
    "dyspnea",
    "wheeze",
    "smoking",
    "carcinoma",
    "polydipsia",
    "acidosis",
];

/// "Hyperammonemia" is told of ammonia, "pyuria" of urine: whether the source has what the term is made of.
fn is_derived(term: &str, source: &Reading) -> bool {
    const LETTERS: usize = 4;
    let begins = |root: &str| root.len() >= LETTERS && source.known.iter().any(|word| word.starts_with(root));
    let root = |term: &str| term.get(..LETTERS).map(str::to_owned).unwrap_or_default();
    if term.ends_with("uria") {
        return source.known.contains("urine") || source.known.contains("urinary");
    }
    let changed = ["hyper", "hypo"].iter().find_map(|prefix| term.strip_prefix(prefix));
    changed.is_some_and(|rest| begins(&root(rest)))
}

fn alike(stem: &str, source: &Reading) -> bool {
    let mut others = GROUPS.by_stem.get(stem).into_iter().flatten().flat_map(|&group| &GROUPS.stems[group]);
    others.any(|other| source.by_stem.contains_key(other))
}
