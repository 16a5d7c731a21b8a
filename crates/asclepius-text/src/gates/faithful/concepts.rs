//! Words of one meaning: nouns with the adjectives and verbs for the same finding, and findings named by organ and state.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// Each line names one finding; its first word stands for all.
const SAME: &str = "tender tenderness
jaundice jaundiced icteric icterus icterus
fever febrile pyrexia pyrexial fevers feverish
rash rashes eruption exanthem
lymphadenopathy adenopathy
vomiting vomited vomits vomit emesis
dyspnea breathless breathlessness dyspneic
seizure seizures convulsion convulsions fits
pregnancy pregnant
smoking smoked smoker smokes smoke
numbness numb
weakness weak
stiffness stiff
rigidity rigid
ulcer ulcers ulcerated ulceration
pruritus itch itching itchy
hypotension hypotensive
hypertension hypertensive
thrombosis thrombus thrombosed clot clots thrombi
fracture fractures fractured
recurrence recurred recurrent recurrences relapse relapsed relapses
malignancy malignant cancerous
metastasis metastases metastatic
diarrhea diarrheal
nausea nauseated nauseous
syncope syncopal fainted fainting faint
headache headaches
cough coughing coughed
abscess abscesses
effusion effusions
edema edematous
erythema redness erythematous
allergy allergies allergic
transfusion transfused transfusions
vegetation vegetations
photophobia photophobic
dysmorphic dysmorphism dysmorphology
catatonia catatonic
psychosis psychotic
suicidal suicide suicidality
diabetes diabetic
asthma asthmatic
hemoptysis hemoptyses
peritonism peritonitic peritonitis
cyanosis cyanosed cyanotic
clonus clonic
hallucinations hallucinated hallucinating hallucination
constipation constipated
hypoxia hypoxic hypoxemia hypoxemic
tachycardia tachycardic
bradycardia bradycardic
ascites ascitic
ischemia ischemic
necrosis necrotic
granuloma granulomas granulomatous
gallstone gallstones cholelithiasis
dehydration dehydrated
anemia anemic
distension distended
arrhythmia arrhythmias dysrhythmia
aneurysm aneurysms aneurysmal";

static CONCEPTS: LazyLock<FxHashMap<&str, &str>> = LazyLock::new(|| {
    let rows = SAME.lines().filter_map(|line| Some((line.split(' ').next()?, line)));
    rows.flat_map(|(first, line)| line.split(' ').map(move |word| (word, first))).collect()
});

/// The word that stands for all of a word's meaning.
pub(super) fn of(word: &str) -> Option<&'static str> {
    CONCEPTS.get(word).copied()
}

/// "Splenomegaly" is an enlarged spleen: the organs, where a word names them together with their size.
pub(super) fn enlarged(word: &str) -> &'static [&'static str] {
    match word {
        "hepatomegaly" => &["liver"],
        "splenomegaly" => &["spleen"],
        "hepatosplenomegaly" | "organomegaly" => &["liver", "spleen"],
        "cardiomegaly" => &["heart"],
        "lymphadenopathy" | "adenopathy" => &["node", "nodes"],
        "goiter" | "goitre" | "thyromegaly" => &["thyroid"],
        _ => &[],
    }
}
