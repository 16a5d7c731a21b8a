//! The sections of a note and the words that tell which of them a sentence belongs to.

use std::sync::LazyLock;

use regex::Regex;

use super::lexicon::{self, pattern};

/// A section, in the order in which a note has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Section {
    Complaint,
    History,
    Past,
    Exam,
    Results,
    Course,
    Medications,
    Diagnosis,
    Plan,
}

impl Section {
    /// Every section, in order.
    pub(crate) const ALL: [Self; 9] = [
        Self::Complaint,
        Self::History,
        Self::Past,
        Self::Exam,
        Self::Results,
        Self::Course,
        Self::Medications,
        Self::Diagnosis,
        Self::Plan,
    ];

    /// The heading: the fixed list of words that a note may hold beside the report's and the abbreviation table's.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Complaint => "Chief Complaint",
            Self::History => "History of Present Illness",
            Self::Past => "Past Medical History",
            Self::Exam => "Physical Examination",
            Self::Results => "Results",
            Self::Course => "Hospital Course",
            Self::Medications => "Medications",
            Self::Diagnosis => "Diagnosis",
            Self::Plan => "Plan",
        }
    }

    /// The section with this heading, by any of its names; case and a trailing colon do not count.
    pub(crate) fn of_heading(heading: &str) -> Option<Self> {
        let name = asclepius_text::style::canonical_heading(heading)?;
        Self::ALL.into_iter().find(|section| section.heading() == name)
    }

    /// Whether the section is a list of clipped lines rather than prose.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Past | Self::Exam | Self::Results | Self::Medications | Self::Diagnosis)
    }
}

/// One rule: each match of the pattern speaks for the section with this weight.
struct Cue {
    section: Section,
    weight: f32,
    pattern: Regex,
}

static CUES: LazyLock<Vec<Cue>> = LazyLock::new(|| {
    let cue = |section, weight, source: &str| Cue { section, weight, pattern: pattern(&format!("(?i){source}")) };
    vec![
        cue(
            Section::History,
            1.6,
            r"\b(?:presented|presents|complain(?:ed|ts?|ing)|brought|came to|visited|referred to|admitted|was seen)\b",
        ),
        cue(
            Section::History,
            1.2,
            r"\b(?:prior to|before|preceding) (?:admission|presentation|arrival|this)|\b(?:history of|for) (?:the past )?[\w-]+[- ](?:hours?|days?|weeks?|months?|years?)\b|\b[\w-]+[- ](?:day|week|month|year)s?[- ]history\b",
        ),
        cue(
            Section::History,
            0.8,
            r"\b(?:onset|started to|began|noticed|developed|experienced|reported|worsen(?:ed|ing)|gradual(?:ly)?|suddenly?|progressive(?:ly)?|ago|since)\b",
        ),
        cue(
            Section::History,
            1.2,
            r"\b(?:illness|symptoms?|pain|fever|complaints?|problems?) (?:had )?(?:began|begun|started|developed)\b",
        ),
        cue(Section::History, 1.6, r"\b(?:denie[sd]|denying)\b"),
        cue(
            Section::Past,
            2.4,
            r"\b(?:past|medical|surgical|family|social|obstetric\w*|menstrual|drug|smoking|travel|birth|previous|prior) (?:medical |surgical )?histor(?:y|ies)|\bmedical record|\bcomorbidit\w+|\ballerg(?:y|ies|ic to)\b|\b(?:ex-)?smok(?:er|ed|ing)\b|\bpack[- ]years?|\balcohol\b|\bconsanguin\w+|\bnon-smoker\b",
        ),
        cue(
            Section::Past,
            1.4,
            r"\b(?:known (?:case|to have|history|for)|history of|previously|hypertensive|diabetic|had (?:previously )?undergone|vaccinat\w+|(?:his|her|both) (?:mother|father|brother|sister|parents|siblings?|family)|no (?:known|relevant|significant) )\b",
        ),
        cue(
            Section::Exam,
            2.4,
            r"\b(?:(?:on|upon|at) (?:the )?(?:physical |clinical |initial |general |local )?exam\w*|(?:physical|clinical|neurologic\w*|abdominal|general|local|systemic|ocular|ophthalm\w+|dermatologic\w*|rectal|vaginal|pelvic|cardiac|respiratory|chest|mental status|oral|intraoral|extraoral) exam\w*|vital signs|vitals|on (?:palpation|auscultation|inspection|percussion))\b",
        ),
        cue(
            Section::Exam,
            1.0,
            r"\b(?:blood pressure|bp|heart rate|pulse|respiratory rate|temperature|oxygen saturation|spo2|glasgow|gcs|afebrile|febrile|tender(?:ness)?|palpa\w+|auscultation|distend\w+|guarding|murmur|crackles|breath sounds|bowel sounds|reflex\w*|pupils?|visual acuity|intraocular pressure|muscle strength|power|range of motion|conscious|alert|oriented|bmi|body weight|height)\b",
        ),
        cue(
            Section::Results,
            1.0,
            &format!(
                r"\b{}\b",
                r"(?:ct|mri?|x-?ray|radiograph\w*|ultraso\w+|sonograph\w+|ecg|ekg|electrocardiogra\w+|echo\w*|eeg|emg|pet|angiogra\w+|biops\w+|cytolog\w+|histo\w+|immunohistochem\w+|patholog\w+|cultures?|labora\w+|blood (?:tests?|count|gas|glucose)|serum|plasma|urine|urinalysis|cerebrospinal|csf|pcr|sequencing|mutation|karyotyp\w+|endoscop\w+|colonoscop\w+|bronchoscop\w+|tomogra\w+|imaging|scans?|serolog\w+|antibod\w+|antigen|staining|stained|microscop\w+|marrow|lumbar puncture)"
            ),
        ),
        cue(
            Section::Results,
            0.9,
            r"\b(?:ha?emoglobin|hb|leu[ck]ocyt\w+|white blood cells?|wbc|neutrophil\w*|lymphocyt\w*|eosinophil\w*|platelets?|crp|c-reactive|esr|sedimentation|creatinine|urea|bilirubin|alt|ast|alp|albumin|sodium|potassium|calcium|glucose|hba1c|troponin|d-dimer|lactate|ldh|ferritin|tsh|cortisol|inr|aptt|procalcitonin|bnp|amylase|lipase)\b",
        ),
        cue(
            Section::Results,
            0.7,
            r"\b(?:reveal\w*|show(?:ed|n|s|ing)?|demonstrat\w+|disclosed|indicat(?:ed|ing)|were (?:normal|negative|positive)|was (?:normal|negative|positive)|within normal|elevated|levels?|normal range|visuali[sz]ed)\b|\b\d+(?:\.\d+)?\s?(?:mg/d|g/d|mmol/|[µμ]mol/|ng/m|iu/|u/l|meq/|g/l|×\s?10|x\s?10)",
        ),
        cue(
            Section::Course,
            1.6,
            r"\b(?:underwent|surger(?:y|ies)|operat\w+|resect\w+|excis\w+|incision|laparo\w+|thoraco\w+|craniotomy|intubat\w+|extubat\w+|ventilat\w+|transferred|intensive care|icu|transfus\w+|anasthe\w+|anesthe\w+|sutur\w+|drain(?:ed|age)?|dialysis|emboli[sz]\w+|stent\w*|cathet\w+|transplant\w*|debrid\w+|repair(?:ed)?|performed)\b",
        ),
        cue(
            Section::Course,
            1.1,
            r"\b(?:post-?operative\w*|intra-?operative\w*|hospital day|days? after|improv\w+|recover\w+|complicat\w+|deteriorat\w+|resolv\w+|responded|respon[sc]e|treated|treatment|managed|conservative\w*|uneventful|stabili[sz]ed|died|expired|death)\b",
        ),
        cue(
            Section::Medications,
            1.5,
            r"\b\d+(?:\.\d+)?\s?(?:mg|mcg|[µμ]g|g|iu|u|units|ml)(?:/(?:kg|day|d|h|m2|time))+\b|\b\d+(?:\.\d+)?\s?(?:mg|mcg|[µμ]g|iu) |\b(?:once|twice|three times|thrice|four times) (?:a |per )?(?:daily|day|weekly|week)\b|\b(?:daily|orally|intravenous(?:ly)?|intramuscular(?:ly)?|subcutaneous(?:ly)?|every \d+ h\w*)\b",
        ),
        cue(
            Section::Medications,
            1.0,
            r"\b(?:prescrib\w+|administ\w+|dos(?:e|es|age)|antibiotics?|steroids?|medications?|infusion|therapy with|treated with|started on|regimen|chemotherapy|tapered|titrated|oral)\b",
        ),
        cue(
            Section::Diagnosis,
            2.6,
            r"\b(?:(?:final|definitive|working|provisional|differential|presumptive|clinical|preoperative|postoperative) diagnos[ei]s|diagnosed (?:with|as|to have)|(?:a )?diagnosis (?:of|was|is)|was diagnosed|confirm\w* (?:the|a) diagnosis|led to (?:the|a) diagnosis|the diagnosis)\b",
        ),
        cue(
            Section::Diagnosis,
            0.9,
            r"\b(?:suspect\w+|suggest(?:ive|ed|ing)|consistent with|compatible with|considered|impression)\b",
        ),
        cue(
            Section::Plan,
            2.2,
            r"\b(?:follow(?:ed)?[- ]?up|discharged|(?:on|at|after|upon|before|hospital) discharge|outpatient|surveillance|scheduled|remain(?:ed|s) (?:well|asymptomatic|stable|free|disease)|recurrence|last seen|to date|currently|at present|advised|rehabilitation|(?:months?|years?) (?:later|after|post))\b",
        ),
    ]
});

/// How much each section speaks for itself in `sentence`, by `Section` order.
fn scores(sentence: &str) -> [f32; 9] {
    let mut scores = [0.0; 9];
    for cue in CUES.iter() {
        // A third and fourth match of one rule says little that the second did not.
        let matches = cue.pattern.find_iter(sentence).take(3).count();
        scores[cue.section as usize] += cue.weight * [0.0, 1.0, 1.5, 1.8][matches];
    }
    let drugs = lexicon::DRUG.find_iter(sentence).take(3).count();
    scores[Section::Medications as usize] += [0.0, 0.8, 1.4, 1.8][drugs];
    scores
}

/// Where a sentence stands, as far as it tells what it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Share of the report's text before the sentence, in 0..=1.
    pub(crate) position: f32,
    /// Section of the sentence before it, if there is one in the same paragraph.
    pub(crate) previous: Option<Section>,
}

/// The section of a sentence; never [`Section::Complaint`], which the writer fills from the first sentences.
pub(crate) fn section(sentence: &str, place: Place) -> Section {
    static CONTINUES: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:It|This|These|Those|They|Its|Their|Both|Such|The (?:same|latter|former|mass|lesion|tumou?r|specimen|result|results|finding|findings))\b",
        )
    });
    let mut scores = scores(sentence);
    // History opens a report and the plan closes it; the same words elsewhere mean something else.
    if place.position > 0.5 {
        scores[Section::Past as usize] *= 0.4;
        scores[Section::History as usize] *= 0.4;
    }
    if place.position > 0.3 {
        scores[Section::History as usize] *= 0.7;
    }
    if place.position < 0.55 {
        scores[Section::Plan as usize] *= 0.35;
    }
    if place.position < 0.2 {
        scores[Section::Course as usize] *= 0.7;
        scores[Section::Diagnosis as usize] *= 0.7;
    }
    if let Some(previous) = place.previous {
        // Sentences about one thing stand together, and "it" or "the lesion" needs its neighbour.
        let near = if matches!(previous, Section::Past | Section::Exam | Section::Results) { 0.5 } else { 0.2 };
        scores[previous as usize] += if CONTINUES.is_match(sentence) { 1.6 } else { near };
    }
    let best = Section::ALL.into_iter().skip(1).fold(Section::History, |best, section| {
        if scores[section as usize] > scores[best as usize] { section } else { best }
    });
    if scores[best as usize] > 0.3 {
        best
    } else if place.position < 0.25 {
        Section::History
    } else {
        Section::Course
    }
}

/// Whether a sentence is about the publication and not about the patient.
pub(crate) fn is_about_publication(sentence: &str) -> bool {
    static PUBLICATION: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:informed consent|consent (?:was|for|to)|ethic(?:s|al) (?:committee|approval|board)|institutional review|declaration of helsinki|we (?:herein |hereby |here )?(?:report|present|describe)|in the (?:published |medical )?literature|literature review|et al|case reports?\b|SCARE|CARE guidelines|manufacturer|this article|this study|the authors?|corresponding author|supplementary|(?:is|are|was|were) (?:shown|summari[sz]ed|listed|presented|depicted|illustrated|given|displayed|provided) in (?:the )?(?:fig|table)|(?:see|refer to) (?:fig|table)|^(?:fig(?:ure)?s?|tables?)\b)",
        )
    });
    PUBLICATION.is_match(sentence)
}
