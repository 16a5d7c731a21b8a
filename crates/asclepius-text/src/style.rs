//! How a note is written down: shorthand, haste, headings. A pure function of the note, the style and a draw.
//!
//! Style is put on a note that is there, whoever wrote it. It never touches what the note says: numbers, units, drugs,
//! denials, sides and clinical terms stay as they are. An age above 89, which would identify a person, becomes ">89".

use std::sync::LazyLock;

use regex::{Captures, Regex};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::abbreviations::{self, Entry};
use crate::gates::faithful;

/// The knobs; at 0 and `false` the note stays as its teacher wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Style {
    /// Share of the abbreviation table's terms that are abbreviated wherever the note spells them out, 0 to 1.
    pub abbreviations: f32,
    /// Share of common words with a slip of the keyboard, 0 to 0.2.
    pub typos: f32,
    /// Share of articles left out, 0 to 1.
    pub telegraphic: f32,
    /// Section headings in one of several manners, drawn for each note, so that a corpus is not one template.
    pub headings: bool,
}

impl Style {
    /// The key of the first knob that is out of its range, with the range.
    pub fn wrong(&self) -> Option<(&'static str, &'static str)> {
        let share = |value: f32, most: f32| (0.0..=most).contains(&value);
        [
            (!share(self.abbreviations, 1.0)).then_some(("style.abbreviations", "must be between 0 and 1")),
            (!share(self.typos, 0.2)).then_some(("style.typos", "must be between 0 and 0.2")),
            (!share(self.telegraphic, 1.0)).then_some(("style.telegraphic", "must be between 0 and 1")),
        ]
        .into_iter()
        .flatten()
        .next()
    }

    /// Whether two notes can come out differently.
    pub fn draws(&self) -> bool {
        self.typos > 0.0 || self.telegraphic > 0.0 || self.headings
    }
}

/// Writes the note down in a style. `draw` gives 64 uniform bits for a purpose.
pub fn apply(note: &str, style: &Style, draw: &dyn Fn(&str) -> u64) -> String {
    let mut text = general_ages(note);
    if style.headings {
        text = with_headings(&text, draw("headings") as usize % MANNERS);
    }
    if style.abbreviations > 0.0 {
        text = abbreviations::shorten_where(&text, f64::from(style.abbreviations), |entry| !says(entry));
    }
    if style.telegraphic > 0.0 {
        text = without_articles(&text, style.telegraphic, draw);
    }
    if style.typos > 0.0 {
        text = with_typos(&text, style.typos, draw);
    }
    text
}

/// Whether a term denies, names a drug, counts or measures.
fn says(entry: &Entry) -> bool {
    entry.term.split(|letter: char| !letter.is_alphanumeric()).any(|word| is_protected(&word.to_lowercase()))
        || entry.term.contains(|letter: char| letter.is_ascii_digit())
}

/// Ages above 89 in figures, as years.
fn general_ages(note: &str) -> String {
    static AGE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(?P<before>^|[^\d.,/>])(?:9\d|1[01]\d)(?P<after>[- ]?(?:years?|yrs?|y)[- ]?(?:old|of age)(?-u:\b)|[- ]?(?:yo|y/o)(?-u:\b)|[mf](?-u:\b))")
            .expect("the pattern is valid")
    });
    AGE.replace_all(note, |hit: &Captures<'_>| format!("{}>89{}", &hit["before"], &hit["after"])).into_owned()
}

/// Ways to call a section: what it is called in full, for short, and otherwise.
const HEADINGS: &[[&str; 3]] = &[
    ["Chief Complaint", "CC", "Presenting Complaint"],
    ["History of Present Illness", "HPI", "History of Presenting Complaint"],
    ["Past Medical History", "PMH", "Background"],
    ["Physical Examination", "PE", "Examination"],
    ["Results", "Ix", "Investigations"],
    ["Hospital Course", "Course", "Progress"],
    ["Medications", "Meds", "Drugs"],
    ["Diagnosis", "Dx", "Impression"],
    ["Plan", "Plan", "Disposition"],
    ["Discharge Medications", "DC Meds", "Medications on Discharge"],
    ["Discharge Diagnosis", "DC Dx", "Diagnosis at Discharge"],
    ["Family History", "FHx", "Family History"],
    ["Social History", "SHx", "Social History"],
    ["Follow-up", "F/U", "Follow-up"],
    ["Review of Systems", "ROS", "Systems Review"],
    ["Vital Signs", "VS", "Observations"],
];

/// In full, in capitals, for short, otherwise, otherwise in capitals.
const MANNERS: usize = 5;

/// The first of the names that a heading is one of; case, marks and a colon do not count.
pub fn canonical_heading(heading: &str) -> Option<&'static str> {
    let name = heading.trim().trim_matches(['*', '#', ' ']).trim_end_matches(':').trim();
    HEADINGS.iter().find(|names| names.iter().any(|known| known.eq_ignore_ascii_case(name))).map(|names| names[0])
}

fn with_headings(note: &str, manner: usize) -> String {
    let line = |line: &str| -> String {
        let Some((head, rest)) = line.split_once(':') else { return line.to_owned() };
        let Some(name) = canonical_heading(head) else { return line.to_owned() };
        let Some(names) = HEADINGS.iter().find(|names| names[0] == name) else { return line.to_owned() };
        let name = match manner {
            0 => names[0].to_owned(),
            1 => names[0].to_uppercase(),
            2 => names[1].to_owned(),
            3 => names[2].to_owned(),
            _ => names[2].to_uppercase(),
        };
        format!("{name}:{rest}")
    };
    note.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// What a slip may not touch: what denies, counts, measures or tells sides, and every drug and clinical term.
fn is_protected(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "no",
        "not",
        "nor",
        "none",
        "never",
        "neither",
        "without",
        "denied",
        "denies",
        "deny",
        "negative",
        "positive",
        "absent",
        "absence",
        "left",
        "right",
        "bilateral",
        "both",
        "upper",
        "lower",
        "once",
        "twice",
        "thrice",
        "daily",
        "weekly",
        "monthly",
        "hourly",
        "yearly",
        "before",
        "after",
        "until",
        "since",
        "during",
        "between",
        "under",
        "above",
        "below",
        "than",
        "less",
        "more",
        "male",
        "female",
        "woman",
        "man",
        "girl",
        "boy",
        "hers",
        "himself",
        "herself",
        "normal",
        "abnormal",
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "increased",
        "decreased",
        "cannot",
        "unable",
        "stopped",
        "started",
        "declined",
    ];
    WORDS.contains(&word)
        || faithful::counts_or_measures(word)
        || faithful::is_drug_or_clinical(word)
        || word.starts_with("un") && word.len() > 5
        || word.starts_with("in") && word.len() > 8
}

fn hit(draw: &dyn Fn(&str) -> u64, purpose: &str, at: usize, share: f32) -> Option<u64> {
    let drawn = draw(&format!("{purpose} {at}"));
    // The upper bits decide whether, the lower ones which.
    ((drawn >> 40) as f32 / (1_u32 << 24) as f32 <= share && share > 0.0).then_some(drawn & 0xffff_ffff)
}

fn without_articles(note: &str, share: f32, draw: &dyn Fn(&str) -> u64) -> String {
    static ARTICLE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r" (?:the|an?) (?P<next>[a-z]{3,})(?-u:\b)").expect("the pattern is valid"));
    let mut at = 0;
    ARTICLE
        .replace_all(note, |found: &Captures<'_>| {
            at += 1;
            let next = &found["next"];
            // "A week", "a few" and "the left" are told by their article or are not to be touched.
            let counted = matches!(next, "few" | "lot" | "day" | "single" | "same" | "half" | "third" | "patient");
            let kept = counted || is_protected(next) || hit(draw, "article", at, share).is_none();
            if kept { found[0].to_owned() } else { format!(" {next}") }
        })
        .into_owned()
}

fn with_typos(note: &str, share: f32, draw: &dyn Fn(&str) -> u64) -> String {
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?-u:\b)[a-z]{5,}(?-u:\b)").expect("the pattern is valid"));
    let mut result = String::with_capacity(note.len());
    let mut copied = 0;
    for (number, found) in WORD.find_iter(note).enumerate() {
        let joined = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '/' | '.' | '@' | '_' | '\'');
        let inside = note[..found.start()].chars().next_back().is_some_and(joined)
            || note[found.end()..].chars().next().is_some_and(|next| next != '.' && joined(next));
        let word = found.as_str();
        if inside || is_protected(word) || !faithful::is_common(word) {
            continue;
        }
        let Some(drawn) = hit(draw, "typo", number, share) else { continue };
        result.push_str(&note[copied..found.start()]);
        result.push_str(&slip(word, drawn));
        copied = found.end();
    }
    result.push_str(&note[copied..]);
    result
}

/// Two letters swapped, one left out or one typed twice; the first and the last stay.
fn slip(word: &str, drawn: u64) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = 1 + (drawn as usize >> 2) % (letters.len() - 3);
    match drawn % 3 {
        0 => letters.swap(at, at + 1),
        1 => {
            letters.remove(at);
        }
        _ => letters.insert(at, letters[at]),
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gates::Gate;
    use crate::gates::faithful::{Pair, Reading};

    const NOTE: &str = "Chief Complaint:\nA 93-year-old woman presented with chest pain for a week.\n\nHospital Course:\n\
        She was given aspirin 100 mg twice daily and the warfarin was stopped. There was no fever, and the left lung was \
        without any effusion. The patient had a further episode after three days, which improved during the second week.\n\n\
        Plan:\nShe was discharged to the rehabilitation department with instructions about the wound.";

    fn drawn(seed: u64) -> impl Fn(&str) -> u64 {
        move |purpose| {
            let hash = blake3::hash(format!("{seed} {purpose}").as_bytes());
            u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("32 bytes"))
        }
    }

    #[test]
    fn without_a_style_only_the_age_is_general() {
        let plain = apply(NOTE, &Style::default(), &drawn(1));
        assert_eq!(plain, NOTE.replace("93-year-old", ">89-year-old"));
        assert_eq!(general_ages("BP 95/60, 89-year-old, 102 yo, HR 98"), "BP 95/60, 89-year-old, >89 yo, HR 98");
    }

    #[test]
    fn every_knob_shows() {
        let style = |style: Style| apply(NOTE, &style, &drawn(3));
        assert!(style(Style { abbreviations: 1.0, ..Style::default() }).contains("The pt had"));
        let short = style(Style { telegraphic: 1.0, ..Style::default() });
        assert!(short.contains("about wound") && short.contains("for a week"), "{short}");
        let slips = Style { typos: 0.2, ..Style::default() };
        let slipped = (0..40).filter(|seed| apply(NOTE, &slips, &drawn(*seed)) != style(Style::default())).count();
        assert!(slipped > 20, "{slipped} of 40");
        let manners: std::collections::BTreeSet<String> =
            (0..40).map(|seed| apply(NOTE, &Style { headings: true, ..Style::default() }, &drawn(seed))).collect();
        assert_eq!(manners.len(), MANNERS);
        assert_eq!(canonical_heading("**HPI:**"), Some("History of Present Illness"));
        assert_eq!(Style { typos: 0.5, ..Style::default() }.wrong().map(|(key, _)| key), Some("style.typos"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        /// What the gates that compare facts read is the same before and after.
        #[test]
        fn style_changes_no_fact(seed: u64, abbreviations in 0.0_f32..=1.0, typos in 0.0_f32..=0.2, telegraphic in 0.0_f32..=1.0) {
            let style = Style { abbreviations, typos, telegraphic, headings: true };
            let written = apply(NOTE, &style, &drawn(seed));
            let (text, source) = (Reading::of(&written), Reading::of(NOTE));
            for gate in [Gate::Age, Gate::Drugs, Gate::Intervals, Gate::Laterality, Gate::Negation, Gate::Quantities, Gate::Sex] {
                prop_assert!(Pair::new(&text, &source).unsupported(gate).is_empty(), "{:?}: {}", gate, written);
                prop_assert!(Pair::new(&source, &text).unsupported(gate).is_empty() || gate == Gate::Age, "{:?} lost: {}", gate, written);
            }
            let figures = |text: &str| text.split(|c: char| !c.is_ascii_digit()).filter(|f| !f.is_empty() && *f != "93" && *f != "89").map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(figures(&written), figures(NOTE));
        }
    }
}
