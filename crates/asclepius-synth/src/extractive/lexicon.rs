//! The closed word lists and patterns that the extraction rules look for. They recognise words; they add none.

use std::sync::LazyLock;

use regex::Regex;

/// Compiles one of this module's own patterns.
pub(crate) fn pattern(source: &str) -> Regex {
    Regex::new(source).expect("the crate's own patterns compile; a test compiles each of them")
}

macro_rules! patterns {
    ($($(#[$doc:meta])* $name:ident = $source:expr;)*) => {
        $($(#[$doc])* pub(crate) static $name: LazyLock<Regex> = LazyLock::new(|| pattern(&$source));)*

        #[cfg(test)]
        pub(crate) fn compile_all() {
            $(LazyLock::force(&$name);)*
        }
    };
}

/// A count in digits or words.
const NUMBER: &str = r"(?:\d+(?:[.,]\d+)?(?:\s?[-–]\s?\d+)?|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|several|few|many)";
/// A unit of time, in full or as the ward writes it.
const TIME_UNIT: &str = r"(?:seconds?|minutes?|mins?|hours?|hrs?|h|days?|d|weeks?|wks?|months?|mos?|years?|yrs?|y)";
/// A month's name.
const MONTH: &str = r"(?:January|February|March|April|May|June|July|August|September|October|November|December|Jan\.?|Feb\.?|Mar\.?|Apr\.?|Jun\.?|Jul\.?|Aug\.?|Sept?\.?|Oct\.?|Nov\.?|Dec\.?)";
/// Names of drugs that no suffix gives away.
const DRUGS: &str = "insulin|aspirin|ASA|heparin|warfarin|paracetamol|acetaminophen|APAP|morphine|fentanyl|remifentanil|oxycodone|tramadol|ketamine|\
propofol|etomidate|sevoflurane|rocuronium|adrenaline|epinephrine|noradrenaline|norepinephrine|dopamine|dobutamine|milrinone|\
vasopressin|atropine|digoxin|amiodarone|adenosine|nitroglycerin|NTG|clopidogrel|ticagrelor|alteplase|tPA|tenecteplase|streptokinase|\
spironolactone|mannitol|acetazolamide|levothyroxine|methimazole|carbimazole|propylthiouracil|methotrexate|MTX|cyclophosphamide|\
vincristine|bleomycin|etoposide|gemcitabine|capecitabine|fluorouracil|5-FU|temozolomide|imatinib|hydroxyurea|thalidomide|lenalidomide|\
bortezomib|linezolid|rifampicin|rifampin|isoniazid|INH|ethambutol|pyrazinamide|colistin|amikacin|TMP-SMX|trimethoprim|sulfamethoxazole|\
nitrofurantoin|ivermectin|praziquantel|chloroquine|hydroxychloroquine|artesunate|colchicine|allopurinol|azathioprine|AZA|mycophenolate|MMF|\
tacrolimus|sirolimus|everolimus|cyclosporine|ciclosporin|lithium|valproate|valproic acid|VPA|carbamazepine|levetiracetam|phenytoin|\
lamotrigine|gabapentin|pregabalin|haloperidol|risperidone|olanzapine|quetiapine|aripiprazole|clozapine|sertraline|escitalopram|\
fluoxetine|mirtazapine|amitriptyline|thiamine|folic acid|folate|vitamin [A-K]\\d{0,2}|potassium chloride|KCl|magnesium sulfate|MgSO4|\
calcium gluconate|sodium bicarbonate|immunoglobulins?|IVIG|corticosteroids?|glucocorticoids?|steroids?|antibiotics?|abx|NSAIDs?|PPIs?|\
antihypertensives?|antihistamines?|diuretics?|anticoagulants?|normal saline|dextrose|tranexamic acid|TXA|octreotide|desmopressin|\
glucagon|neostigmine|naloxone|flumazenil|salbutamol|albuterol|ipratropium|budesonide|theophylline|oxytocin|misoprostol|letrozole|\
tamoxifen|anastrozole|metoclopramide|ondansetron|sucralfate|lactulose|mesalamine|mesalazine|infliximab|tocilizumab|anakinra|\
levodopa|baclofen|pyridostigmine|edaravone|triamcinolone|timolol|ranibizumab|botulinum toxin|thymoglobulin|eculizumab|denosumab";
/// Endings that drugs of one class share.
const DRUG_ENDINGS: &str = "cillin|mycin|micin|floxacin|cycline|conazole|nidazole|prazole|sartan|april|opril|april|olol|statin|[aou]mab|[tl][iu]zumab|tinib|\
[aeilo]vir|parin|xaban|gatran|[ei]sone|solone|asone|lukast|tidine|setron|gliptin|gliflozin|formin|glitazone|semide|thiazide|triptan|\
barbital|azepam|azolam|dipine|platin|rubicin|taxel|penem|poetin|dronate|profen|caine|curonium|fenac|coxib|sulfan|tecan|bactam|\
trexed|fungin|ciclib|parib|limab|lisib";

/// Kinds of investigation.
const TESTS: &str = r"(?:CT(?:\s?A|\s(?:scan|angiography|angiogram))?|computed tomograph\w+|MRI?(?:\s?A)?|magnetic resonance imaging|MRCP|X-?rays?|CXR|KUB|CECT|HRCT|CTA|CMR|MRV|MRA|EUS|OGD|FISH|FBC|LFTs?|NGS|radiograph\w*|ultrasound|ultrasonograph\w+|sonograph\w+|US|ECG|EKG|electrocardiogra\w+|TTE|TEE|echocardiogra\w+|echo|EEG|electroencephalogra\w+|EMG|electromyograph\w+|PET(?:[-/]CT)?|angiogra\w+|(?:oesophago|esophago)?gastroduodenoscop\w+|EGD|endoscop\w+|colonoscop\w+|bronchoscop\w+|laryngoscop\w+|cystoscop\w+|hysteroscop\w+|biops(?:y|ies)|[Bb]x|FNAC?|cytolog\w+|(?:histo)?patholog(?:y|ical examination)|histolog(?:y|ical examination)|immunohistochemi\w+|IHC|blood cultures?|cultures?|CBC|complete blood count|ABG|blood gas(?: analysis)?|urinalysis|UA|lumbar puncture|LP|CSF(?: analysis)?|bone marrow (?:examination|aspirat\w+|biopsy)|lab(?:orator\w+)?(?: (?:tests?|studies|findings|investigations|results|evaluation|workup|data|values))?|labs|blood tests?|PCR|RT-PCR|(?:whole[- ]exome |genetic |gene |next[- ]generation )(?:sequencing|test\w*|analysis)|karyotyp\w+|scintigra\w+|mammogra\w+|fundoscop\w+|fundus examination|Gram stain\w*|spirometry|PFTs?|serolog\w+|OCT|tonometry|audiometr\w+|venogra\w+|myelogra\w+|fluoroscop\w+)";
/// Words that say which investigation of its kind it was.
const TEST_PREFIXES: &str = r"(?:(?:chest|abdominal|abdominopelvic|brain|head|pelvic|cardiac|spin(?:e|al)|cervical|thoracic|lumbar|sacral|cranial|cerebral|coronary|renal|liver|bone|skin|lymph node|blood|urine|sputum|stool|CSF|tissue|wound|serum|peripheral|doppler|color|duplex|transthoracic|transesophageal|transvaginal|transrectal|contrast[- ]enhanced|enhanced|contrast|noncontrast|non-contrast|plain|repeat(?:ed)?|follow-up|initial|preoperative|postoperative|intraoperative|urgent|emergency|whole[- ]body|high-resolution|upper|lower|GI|gastrointestinal|flexible|needle|core|excisional|excision|incisional|surgical|frozen|routine|12-lead|abd|neck|knee|hip|shoulder|foot|hand|ankle|elbow|wrist|orbital|scrotal|breast|thyroid)(?:\s|-)(?:and\s)?){0,3}";

/// Complaints and signs.
const FINDINGS: &str = r"(?:(?:(?:abdominal|abd|chest|back|low back|flank|epigastric|neck|pelvic|joint|knee|hip|shoulder|ear|eye|ocular|leg|calf|foot|ankle|arm|facial|dental|testicular|scrotal|throat|bone|muscle|muscular|groin|thigh|RUQ|RLQ|LUQ|LLQ|severe|acute|chronic)\s){0,2}pain|fevers?|cough(?:ing)?|dyspno?ea|SOB|DOE|shortness of breath|(?-i:HAs?)|headaches?|nausea|vomiting|N/V(?:/D)?|diarrho?ea|constipation|ha?ematuria|mel[ae]+na|ha?emoptysis|ha?ematemesis|ha?ematochezia|epistaxis|jaundice|icterus|rash|pruritus|itching|o?edema|swelling|fatigue|weakness|malaise|wt loss|weight loss|anorexia|(?:loss of|poor|decreased) appetite|dizziness|vertigo|syncope|seizures?|sz|convulsions?|palpitations?|palps|chills|rigors?|night sweats|sweating|numbness|tingling|par[ae]+sthesias?|dysphagia|odynophagia|dysuria|nocturia|oliguria|anuria|polyuria|polydipsia|(?:urinary|fecal) (?:retention|incontinence)|incontinence|blurred vision|(?:visual|vision) (?:loss|disturbance|impairment)|diplopia|photophobia|proptosis|tremors?|confusion|disorientation|lethargy|drowsiness|tenderness|guarding|rebound|ptosis|nystagmus|ataxia|aphasia|dysarthria|hoarseness|stridor|hemiparesis|hemiplegia|paraparesis|paraplegia|(?:facial|limb|leg|arm) (?:palsy|weakness)|bleeding|hypotension|tachycardia|tachypno?ea|bradycardia|hypoxi?a|hypoxemia|cyanosis|pallor|erythema|ulcers?|ulceration|nodules?|mass|lump|splenomegaly|hepatomegaly|hepatosplenomegaly|lymphadenopathy|bruising|ecchymos[ei]s|petechiae|purpura|wheez(?:e|es|ing)|rhonchi|crackles|rales|murmur|deformity|stiffness|insomnia|hallucinations?|anxiety|agitation|amnesia|distension|ascites|effusion|amenorrho?ea|menorrhagia|vesicles|blisters|bullae|papules|plaques|alopecia|lameness|claudication|clubbing|gait (?:disturbance|instability)|hearing loss|tinnitus|otalgia|rhinorrho?ea)";

/// Procedures beside those an ending gives away.
const PROCEDURES: &str = r"(?:intubation|extubation|tracheostomy|surger(?:y|ies)|surgical (?:resection|excision|repair|drainage|exploration|debridement)|resection|excision|transplant(?:ation)?|drainage|debridement|stenting|PCI|CABG|(?:hemo|haemo)?dialysis|hemodiafiltration|plasmapheresis|plasma exchange|transfusions?|chemotherapy|chemo|radiotherapy|XRT|RT|radiation therapy|immunotherapy|catheteri[sz]ation|emboli[sz]ation|ablation|amputation|anastomosis|(?:internal|external) fixation|ORIF|open reduction|mechanical ventilation|ECMO|CPR|cardioversion|defibrillation|cesarean(?: section)?|C-section|grafting|suturing|ligation|clipping|coiling|lavage|shunt(?:ing)?|pacemaker implantation|phacoemulsification|herniorrhaphy|[A-Za-z]{3,}(?:ectomy|ostomy|otomy|plasty|centesis|pexy|desis|rrhaphy|tripsy))";

/// Diseases beside those an ending gives away.
const CONDITIONS: &str = r"(?:HTN|hypertension|T1DM|T2DM|DM2?|diabetes(?: mellitus)?|CAD|coronary artery disease|CKD|AKI|ESRD|COPD|CHF|HF|heart failure|AF|Afib|atrial fibrillation|DVT|MI|NSTEMI|STEMI|CVA|TIA|stroke|PNA|pneumonia|sepsis|septic shock|(?:[A-Za-z-]+ )?(?:cancer|carcinoma|lymphoma|leukemia|leukaemia|sarcoma|melanoma|adenoma|tumou?r)|TB|tuberculosis|asthma|an[ae]+mia|epilepsy|UTI|URI|(?:[A-Za-z-]+ )?(?:infection|fracture|fxs?|aneurysm|ha?emorrhage|infarction|abscess|embolism|thrombosis|hernia|rupture|perforation|obstruction|stenosis)|[A-Z][A-Za-z'’-]+ (?:syndrome|disease)|cirrhosis|HIV|AIDS|HBV|HCV|hepatitis [BC]|COVID-19|HLD|hyperlipidemia|GERD|PUD|BPH|OSA|SLE|RA|obesity|depression|hypothyroidism|hyperthyroidism|pneumothorax|PTX|preeclampsia|[A-Za-z]{3,}(?:itis|oma|[cdhlmnrtx]emia|[bcdhilmrtuy]osis|opathy|penia|plegia))";

/// Words of the same shape that name no disease.
pub(crate) const NOT_CONDITIONS: [&str; 8] =
    ["diagnosis", "prognosis", "anastomosis", "symptomatic", "mitosis", "apoptosis", "stoma", "gnosis"];

patterns! {
    /// A drug's name.
    DRUG = format!(r"(?i)\b(?:{DRUGS}|[a-z]{{2,}}(?:{DRUG_ENDINGS})|cef[a-z]+)(?:[-/](?:[a-z]{{2,}}(?:{DRUG_ENDINGS})|clavulan[a-z]+))?\b");
    /// An investigation, with what says which one it was.
    TEST = format!(r"\b(?i:{TEST_PREFIXES})(?:{})\b", with_capital(TESTS));
    /// A complaint or sign.
    FINDING = format!(r"(?i)\b{FINDINGS}\b");
    /// A procedure.
    PROCEDURE = format!(r"(?i)\b{PROCEDURES}\b");
    /// A disease.
    CONDITION = format!(r"\b(?:{})\b", with_capital(CONDITIONS));
    /// A dose, with what follows it up to the next stop.
    DOSE = r"(?i)\d+(?:[.,]\d+)*(?:\s?[-–]\s?\d+)?\s?(?:mg|g|mcg|[µμ]g|ng|u|iu|units?|ml|mmol|meq)\b(?:/\w+)*[^,.;()]{0,40}";
    /// An expression of time that can date an event.
    TIME = format!(
        r"(?i)\b(?:(?:on |in |by |until |since |from |at the end of |at the beginning of |(?:in )?(?:early|mid|late) )?{MONTH}(?: \d{{1,2}}(?:st|nd|rd|th)?)?,? (?:of )?\d{{4}}\b|(?:on )?{MONTH} \d{{1,2}}(?:st|nd|rd|th)?\b|(?:on )?\d{{1,2}} {MONTH}(?: \d{{4}}\b)?|(?:in|since|until) (?:19|20)\d\d\b|(?:on |by |until |at |from )?(?:the )?(?:hospital |postoperative |post-operative |postpartum |illness |admission )?(?:days?|POD|HD|weeks?|months?) ?#?\d+|(?:on |by |until )?(?:the )?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|1st|2nd|3rd|\d{{1,2}}th) (?:hospital |postoperative |post-operative |postpartum )?(?:day|week|month|POD|HD)(?: (?:after|of|post) [\w-]+)?|(?:(?:at|after|for|over|within|during|in|every|until|about|approximately|around) )*(?:the )?(?:past |last |next |first |previous |following |preceding )?{NUMBER}[- ]{TIME_UNIT}(?: (?:later|ago|earlier|previously|before(?: [\w-]+)?|prior(?: to [\w-]+)?|after (?:the )?[\w-]+|PTA|of [\w-]+|post-?op\w*))|(?:(?:at|after|for|over|within|during|every) )(?:the )?(?:past |last |next |first |previous |following |preceding |a further |another |about |approximately |almost |nearly |more than )?{NUMBER}[- ]{TIME_UNIT}\b(?: (?:follow-?up|f/u|history|course))?|{NUMBER}[- ]{TIME_UNIT} (?:follow-?up|f/u|history|hx|course)|(?:on )?the (?:next|following|same) (?:day|morning|evening|night|week)|(?:on|upon|at) (?:admission|arrival|presentation|discharge|birth|follow-?up|d/c))"
    );
    /// How the patient is introduced, from the age to the noun.
    PERSON = r"(?i)\b(?:an? (?:[\w-]+ ){0,4}?)?(?:\d+|[a-z]+)[- ]?(?:(?:and-a-half|½)[- ])?(?:years?|months?|weeks?|days?|yrs?|mos?)[- ]?(?:old|of age)?\b[^.;:()]{0,60}?\b(?:man|woman|male|female|boy|girl|infant|neonate|newborn|child|gentleman|lady|patient|pt|toddler|M|F)\b|\b(?:an? )?\d+[- ]?(?:yo|y/o|y\.o\.)[^.;:()]{0,60}?\b(?:man|woman|male|female|boy|girl|infant|child|gentleman|lady|patient|pt|M|F)\b|\b(?:an? )?(?:male|female)(?: patient| infant| newborn| neonate)?[^.;:]{0,30}\b(?:aged?|of) [\d.]+(?: (?:years?|months?|weeks?|days?|yo|y/o)(?: of age)?)?|\ban? \d+[- ](?:year|month)s?[- ]old (?:[a-z-]+ )?[a-z]+(?:er|or|ist|ant|ian|ee|ess|eur|student|nurse|chef|pilot|cook|clerk)\b";
    /// The patient's age.
    AGE = r"(?i)\b[\w.]+(?:[- ](?:and-a-half|½))?[- ](?:years?|months?|weeks?|days?|yrs?)[- ](?:old|of age)\b|\b\d+[- ]?(?:yo|y/o|y\.o\.)|\baged? (?:of )?\d+(?: (?:years?|months?|weeks?|days?))?";
    /// Says that what follows is absent.
    NEGATION = r"(?i)\b(?:no|not|without|w/o|denie[sd]|denying|negative for|absence of|nor|never|neither|free of|ruled out|r/o|excluded|absent)\b";
    /// Ends the reach of a negation.
    NEGATION_END = r"(?i)\b(?:but|however|although|though|except|while|whereas|which|showed|revealed|presented)\b|;";
}

/// Lower-case lists also match at the start of a sentence; abbreviations stay as they are, so that `us` is not `US`.
fn with_capital(alternatives: &str) -> String {
    let mut source = String::with_capacity(alternatives.len() * 2);
    let mut word_start = true;
    let mut in_class = false;
    for character in alternatives.chars() {
        in_class = match character {
            '[' => true,
            ']' => false,
            _ => in_class,
        };
        if word_start && !in_class && character.is_ascii_lowercase() {
            source.push('[');
            source.push(character.to_ascii_uppercase());
            source.push(character);
            source.push(']');
        } else {
            source.push(character);
        }
        // `(?:` and `|` begin an alternative; a backslash begins a class such as \s or \w.
        word_start = matches!(character, '(' | '|' | ':' | '?') && !in_class;
    }
    source
}

/// Matches of `what` in `text` in order, without repeats (letter case does not count) and without those that
/// `keep` refuses.
pub(crate) fn mentions<'a>(what: &Regex, text: &'a str, keep: impl Fn(&str, usize) -> bool) -> Vec<&'a str> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for hit in what.find_iter(text) {
        let word = hit.as_str().trim();
        let key = word.to_lowercase();
        if !word.is_empty() && keep(word, hit.start()) && !seen.contains(&key) {
            seen.push(key);
            found.push(word);
        }
    }
    found
}

/// Whether a negation before byte `at` of `sentence` reaches it.
pub(crate) fn negated(sentence: &str, at: usize) -> bool {
    let before = &sentence[..at];
    NEGATION.find_iter(before).last().is_some_and(|hit| !NEGATION_END.is_match(&before[hit.end()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        compile_all();
    }

    #[test]
    fn a_negation_reaches_over_a_list_but_not_over_a_contrast() {
        let text = "Denied fever, chills or cough but had headache.";
        let present = mentions(&FINDING, text, |_, at| !negated(text, at));
        assert_eq!(present, ["headache"]);
    }

    #[test]
    fn drugs_are_known_by_name_and_by_ending() {
        let text = "Given ceftriaxone, Piperacillin and insulin in April; the person performed well.";
        assert_eq!(mentions(&DRUG, text, |_, _| true), ["ceftriaxone", "Piperacillin", "insulin"]);
    }

    #[test]
    fn times_are_found_and_ages_are_not() {
        let find = |text| mentions(&TIME, text, |_, _| true).join("|");
        assert_eq!(find("A 45-year-old man fell two weeks prior to admission."), "two weeks prior to admission");
        assert_eq!(
            find("On postoperative day 3 he walked; in March 2020 he was well."),
            "On postoperative day 3|in March 2020"
        );
        assert_eq!(find("Treated for 10 days. At 6-month follow-up, well."), "for 10 days|At 6-month follow-up");
    }

    #[test]
    fn tests_keep_what_says_which_one() {
        let text = "Chest CT showed a nodule; Brain MRI was normal. Blood cultures grew E. coli. He told us.";
        assert_eq!(mentions(&TEST, text, |_, _| true), ["Chest CT", "Brain MRI", "Blood cultures"]);
    }
}
