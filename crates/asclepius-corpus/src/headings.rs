//! What a section's heading promises.

use std::sync::LazyLock;

use regex::Regex;

use crate::pattern::pattern;

use crate::article::Section;

/// The part a section plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// One patient among several, by number: "Case 2", "The third patient", "Patient B".
    Numbered(u32),
    /// The case, or the cases.
    Case,
    /// Case and discussion under one heading.
    Mixed,
    /// Goes on telling a case: examination, treatment, outcome ..
    Course,
    /// Comes before a case: introduction, background, aims.
    Opening,
    /// A study's own sections: methods, results.
    Study,
    /// Discussion, conclusion, review of the literature.
    Discussion,
    /// Ethics, consent, funding and the rest of the apparatus.
    Apparatus,
    /// Nothing can be told.
    Unknown,
}

impl Part {
    /// Never case text, wherever it stands.
    pub fn is_outside(self) -> bool {
        matches!(self, Self::Opening | Self::Discussion | Self::Apparatus)
    }
}

/// Lower case, without numbering and punctuation around it.
fn normalise(title: &str) -> String {
    static NUMBERING: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:\d+(?:\.\d+)*[.)]?|[ivx]{1,4}[.)]|[a-h][.)])\s+|^\d+(?:\.\d+)*[.)]"));
    let lower: String = title
        .to_lowercase()
        .chars()
        .map(|character| match character {
            '\u{2010}'..='\u{2015}' | '_' => '-',
            '’' => '\'',
            '&' => '+',
            other => other,
        })
        .collect();
    let lower = lower.split_whitespace().collect::<Vec<_>>().join(" ").replace(" + ", " and ");
    let bare = NUMBERING.replace(lower.trim(), "");
    bare.trim_matches(|character: char| !character.is_alphanumeric() && character != ')').trim().to_owned()
}

const ORDINALS: [(&str, u32); 24] = [
    ("first", 1),
    ("second", 2),
    ("third", 3),
    ("fourth", 4),
    ("fifth", 5),
    ("sixth", 6),
    ("seventh", 7),
    ("eighth", 8),
    ("ninth", 9),
    ("tenth", 10),
    ("eleventh", 11),
    ("twelfth", 12),
    ("1st", 1),
    ("2nd", 2),
    ("3rd", 3),
    ("4th", 4),
    ("5th", 5),
    ("6th", 6),
    ("7th", 7),
    ("8th", 8),
    ("9th", 9),
    ("10th", 10),
    ("11th", 11),
    ("12th", 12),
];
const CARDINALS: [&str; 10] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
const ROMAN: [&str; 10] = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"];

/// The number that a label such as `2`, `ii`, `b` or `two` stands for.
fn number(label: &str) -> Option<u32> {
    let place = |list: &[&str]| list.iter().position(|known| *known == label).map(|at| at as u32 + 1);
    if let Ok(number) = label.parse::<u32>() {
        return (1..=60).contains(&number).then_some(number);
    }
    place(&ROMAN).or_else(|| place(&CARDINALS)).or_else(|| {
        let mut characters = label.chars();
        match (characters.next(), characters.next()) {
            (Some(letter @ 'a'..='h'), None) => Some(letter as u32 - 'a' as u32 + 1),
            _ => None,
        }
    })
}

/// The patient that `text` (a heading, or the start of a paragraph) names by number.
pub(crate) fn patient_number(text: &str) -> Option<u32> {
    static LABEL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\W*(?:the\s+|our\s+|clinical\s+|index\s+|description of\s+|presentation of\s+|report of\s+)*(?:case|patient|pt|proband|subject|sibling|twin|observation|vignette)(?:\s+(?:report|presentation|description|study|history|summary|no|number|nr|vignette))?\.?\s*[#:–—-]?\s*\(?\s*(?:no\.?\s*|n[°º]\s*|#\s*)?(\d{1,2}|[ivx]{1,4}|[a-h]|one|two|three|four|five|six|seven|eight|nine|ten)\b(.{0,12})",
        )
    });
    static ORDINAL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\W*(?:the\s+|our\s+)?(first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|1[0-2]th|[1-9](?:st|nd|rd|th))\s+(?:(?:index|clinical|reported|male|female|pediatric)\s+)?(?:case|patient|sibling|twin)\b(.{0,12})",
        )
    });
    static MEMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[-–.:](\d{1,2})\b"));
    let label = |found: &regex::Captures<'_>| {
        let label = found[1].to_lowercase();
        let rest = found[2].to_lowercase();
        let spelled = label.chars().all(char::is_alphabetic);
        // "Case: a 45-year-old ..", "patient I saw": a letter counts only where nothing but punctuation follows.
        if spelled && !CARDINALS.contains(&label.as_str()) {
            let upper = found[1].chars().all(char::is_uppercase);
            let ends = rest.is_empty() || rest.starts_with([':', '.', ')', '-', '–', '—', '(', ',']);
            let goes_on = upper && [" was ", " is "].iter().any(|verb| rest.starts_with(verb));
            if !(ends || goes_on) || (label.len() == 1 && rest.starts_with("-year")) {
                return None;
            }
        }
        // "Patient III-2" of a family tree is another person than III-1.
        if spelled && let Some(member) = MEMBER.captures(&rest) {
            let member: u32 = member[1].parse().ok()?;
            return number(&label).map(|generation| generation * 100 + member);
        }
        let rest = rest.trim_start();
        // "Case 45-year-old", "patient 3 months ..", and "cases 1 and 2", which are about both.
        let unit = rest.trim_start_matches(['-', '–', ' ']);
        if ["year", "month", "week", "day", "yr", "y/o"].iter().any(|word| unit.starts_with(word)) {
            return None;
        }
        let another = ["and ", "& ", "to ", "or "].iter().find_map(|word| rest.strip_prefix(word));
        let numbered = |next: &str| {
            next.starts_with(|first: char| first.is_ascii_digit())
                || ["case", "patient", "the "].iter().any(|word| next.starts_with(word))
        };
        if another.is_some_and(numbered) || rest.starts_with(['/', '%']) {
            return None;
        }
        number(&label)
    };
    if let Some(found) = LABEL.captures(text) {
        return label(&found);
    }
    let found = ORDINAL.captures(text)?;
    let word = found[1].to_lowercase();
    ORDINALS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
}

/// The family that a heading names by number, where patients are numbered anew in each.
pub(crate) fn family_number(heading: &str) -> Option<u32> {
    let title = normalise(heading);
    let (family, label) = title.trim_start_matches("the ").split_once(' ')?;
    let label = label.trim_start_matches(['n', 'o', '.', '#', ' ']);
    matches!(family, "family" | "kindred" | "pedigree").then(|| number(label)).flatten()
}

/// Tells a section's part from its heading and its `sec-type`: the heading where it numbers a patient, then what the
/// type says for sure, then the heading, and of a section without one whatever the type says.
pub(crate) fn part(section: &Section) -> Part {
    *section.part.get_or_init(|| part_of(section))
}

fn part_of(section: &Section) -> Part {
    let by_title = part_of_title(&section.title);
    match (by_title, part_of_kind(&section.kind)) {
        (Part::Numbered(_), _) | (_, None) => {}
        (_, Some(found)) => return found,
    }
    if by_title == Part::Unknown && section.title.trim().is_empty() {
        return part_of_bare_kind(&section.kind);
    }
    by_title
}

/// Tells a section's part from its heading alone.
pub(crate) fn part_of_title(heading: &str) -> Part {
    static APPARATUS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?x)^(?:(?:statements?\ (?:of|on)|declarations?\ of|ethics?|ethical|informed|written|patient)\ )*(?:
              consent|ethic|funding|financial|data\ (?:availability|sharing|access)|availability|author|contribution|conflict|competing|disclos|declaration
            | acknowledge?ment|abbreviation|supplement|additional\ (?:file|information)|appendix|references?$|bibliography|publisher|orcid|copyright|licen[sc]e
            | institutional\ review|provenance|peer\ review|role\ of\ the\ fund|support$|grants?$|sources?\ of\ (?:funding|support)|credit|guarantor|registration
            | highlights?$|keywords?$|key\ words|footnotes?|notes?$|glossary|approval|human\ (?:and\ animal\ )?(?:rights|ethics)|research\ registration|trial\ registration
            | list\ of\ abbreviations
            | letters?\ (?:to|from)\ the\ editor|(?:reply|replies|responses?)\ (?:to|from|by|of)\ (?:the\ )?(?:authors?|editors?|reviewers?|referees?|letters?|comments?)\b
            | (?:(?:authors?|editors?|reviewers?|referees?)'?s?'?|editorial|expert|invited|guest)\ (?:reply|replies|responses?|notes?|comments?|commentar(?:y|ies)|reports?|reviews?)$
            | for\ publication|participate|use\ of\ (?:ai|generative)|generative|how\ to\ cite|search\ strategy)",
        )
    });
    static CONSENT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"\bconsent\b|\bethic(?:s|al)\b|conflicts? of interest|\bfunding\b|competing interest")
    });
    static DISCUSSION: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?x)\bdiscussions?\b|^(?:overall\ |general\ |final\ )?(?:conclusions?|concluding|summary\ and\ conclusions?)\b|\bconclusions?$|^comments?$|^commentary|literature|^review\b|\breview$
            | \blimitations?\b|\bstrengths\b|learning\ (?:points?|objectives?)|take[\ -]home|key\ (?:points?|messages?|learning)|lessons?\b|teaching\ points?|clinical\ (?:implications?|significance|relevance|pearls?)
            | ^implications?|future\ (?:directions?|research|perspectives?)|perspectives?\ and|recommendations?$|^summary$|epidemiology|pathogenesis|pathophysiology|^aetiology|^etiology
            | (?:previous|published|reported|similar|other)\ (?:cases?|reports?)|what\ is\ (?:known|new)|^epilogue|^outlook|^significance|^rationale|mechanisms?\ of
            | (?:significance|importance|relevance|novelty|uniqueness|interpretation)\ of\ (?:the|this|our)\b|^why\b|^(?:what|how)\ (?:this|we|to|do|does|did|should|can|common)\b
            | ^(?:(?:clinical|practice|treatment|therapeutic|management|dietary)\ )*guidelines?$",
        )
    });
    static OPENING: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:introduction|background|objectives?|aims?|purpose|abstract|preface|overview|synopsis|highlights|motivation|context)\b",
        )
    });
    static STUDY: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:patients?(?:,| and) |cases? and |subjects? and |case,? )?(?:materials?|methods?|methodology|experimental|statistical|study (?:design|population)|search)\b|\b(?:materials and methods|methods)$|^results?\b|^findings$|inclusion criteria|^patients? (?:population|characteristics|selection|cohort)|^case (?:definition|selection|identification)|^data (?:collection|analysis)",
        )
    });
    static CASE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?x)\bcases?\b|\b(?:patients?|proband|subject|participant)(?:'s)?\ (?:and\ |medical\ |clinical\ |case\ |demographic\ )*(?:presentations?|descriptions?|reports?|history|histories|information|summary|summaries|data|details?|profiles?|vignettes?|observations?|background)\b
            | ^(?:the\ )?(?:index\ )?(?:patients?|proband|subject|participant)$|^patients?\ and\ observations?$|\bclinical\ (?:case|presentation|report|summary|description|vignette|observation|scenario|record|history|data|information|detail|picture|narrative|encounter)s?\b|^(?:case )?vignettes?\b|^(?:our\ |medical\ |personal\ )?observations?$|^reports?$|^patient(?:'s)?\ narrative
            | ^(?:initial|first|hospital)\ presentation|^presentation$|^presenting\ (?:complaints?|concerns?|features?)|^history\ and\ (?:physical|clinical|examination|presentation)|^(?:description|presentation|report)\ of\ (?:the\ )?(?:patients?|family|proband)|^anamnesis|^case",
        )
    });
    static COURSE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?x)diagnos|investigat|examinat|\bexam\b|imaging|radiolog|laborator|\blabs?\b|\btests?\b|\btesting\b|treatment|therap|intervention|surg(?:ery|ical)|operati|procedure|technique|management|outcome|follow|\bcourse\b|timeline
            | prognos|patholog|histolog|biops|autops|necrops|post-?mortem|genetic|sequencing|molecular|cytogenetic|histor|complaint|symptom|\bfindings?\b|an(?:a)?esthe|hospitali[sz]|admission|discharge|rehabilit|assessment|evaluation
            | \bcare\b|patient\ perspective|patient\ experience|progress|complication|recurrence|medication|electro|echocardio|\bct\b|\bmri\b|ultraso|microbiolog|\bday\ \d|\bweeks?\b|\bmonths?\b|\bvisit\b|\bphase\b|\bstage\b|present\ illness|concerns?$|delivery|pregnan|protocol|monitoring|workup|work-up",
        )
    });
    // Parts of an examination that sound like parts of an article.
    static CLINICAL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:review of systems?|systems? review|mechanisms? of (?:injury|trauma|accident|the (?:injury|accident))|objective (?:findings?|examination|assessment|data|evaluation|measures?)|background (?:medical |clinical |patient )?(?:history|information)|purpose of (?:the )?(?:visit|admission|referral))\b",
        )
    });
    static FAMILY: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^(?:the )?(?:family|kindred|pedigree) (?:no\.? ?|# ?)?(?:\d{1,2}|[a-h]|[ivx]{1,4})$")
    });
    static ABOUT_THE_CASE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:overview|background|introduction|synopsis|outline) (?:of|to) (?:the |our |this )?(?:case|patient)s?$|^(?:clinical )?case review$",
        )
    });
    // One publisher's template: "Methods (differential diagnosis, treatment)", "Conclusion and results (outcome)".
    static TEMPLATE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:methods?|results?|conclusions?)\b.*\b(?:differential|investigations?|treatment|outcomes?|follow-? ?up)\b|^conclusions? and results$",
        )
    });
    static TALK: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(?:discussions?|comments?|commentary)$"));
    let title = normalise(heading);
    if title.is_empty() {
        return Part::Unknown;
    }
    let both = (title.contains(" and ") || title.contains(" with ") || title.contains('/'))
        && !title.starts_with("discussion")
        && !title.starts_with("review");
    if let Some(number) = patient_number(heading).or_else(|| patient_number(&title)) {
        return if TALK.is_match(&title) && !both { Part::Discussion } else { Part::Numbered(number) };
    }
    if CLINICAL.is_match(&title) {
        return Part::Course;
    }
    if FAMILY.is_match(&title) {
        return Part::Case;
    }
    if ABOUT_THE_CASE.is_match(&title) {
        return Part::Case;
    }
    if APPARATUS.is_match(&title) || (CONSENT.is_match(&title) && !title.contains("case")) {
        return Part::Apparatus;
    }
    if TEMPLATE.is_match(&title) {
        return Part::Course;
    }
    let case = CASE.is_match(&title);
    let discussion = DISCUSSION.is_match(&title);
    match () {
        () if discussion && case && both && !title.contains("similar") && !title.contains("previous") => Part::Mixed,
        () if discussion => Part::Discussion,
        () if STUDY.is_match(&title) => Part::Study,
        () if OPENING.is_match(&title) && case && both => Part::Mixed,
        () if OPENING.is_match(&title) => Part::Opening,
        () if case => Part::Case,
        () if COURSE.is_match(&title) => Part::Course,
        () => Part::Unknown,
    }
}

/// What the `sec-type` of a section without a heading says.
fn part_of_bare_kind(kind: &str) -> Part {
    let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    match () {
        () if has(&["discussion", "conclusion"]) => Part::Discussion,
        () if has(&["intro", "background"]) => Part::Opening,
        () if has(&["method", "material", "result"]) => Part::Study,
        () => Part::Unknown,
    }
}

/// What a `sec-type` says for sure; `cases` is JATS' own word.
fn part_of_kind(kind: &str) -> Option<Part> {
    match kind {
        "case" | "cases" | "case-report" | "case-presentation" => Some(Part::Case),
        "data-availability"
        | "coi-statement"
        | "funding-information"
        | "ethics-statement"
        | "supplementary-material"
        | "author-contributions"
        | "ack"
        | "disclaimer" => Some(Part::Apparatus),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(title: &str) -> Part {
        part(&Section { title: title.to_owned(), ..Section::default() })
    }

    #[test]
    fn headings_of_real_shapes_are_read() {
        for (part, titles) in [
            (
                Part::Case,
                &[
                    "Case Report",
                    "2. Case Presentation",
                    "II. CASE DESCRIPTION",
                    "Case",
                    "Cases",
                    "Clinical presentation",
                    "Patient information",
                    "Case history",
                    "Case series",
                    "Report of a case",
                    "Case report:",
                    "Patient",
                    "Clinical case",
                    "3. The case",
                    "Presentation of case",
                    "Cases 1 and 2",
                    "Clinical vignette",
                    "Case: a 45-year-old man",
                    "Patient Presentation",
                    "Case summary",
                    "Case study",
                    "History of the case",
                    "2 | CASE PRESENTATION",
                    "Patient and observation",
                ][..],
            ),
            (
                Part::Mixed,
                &[
                    "Case report and discussion",
                    "Case presentation and literature review",
                    "Introduction and case report",
                ],
            ),
            (
                Part::Course,
                &[
                    "Final Diagnosis",
                    "Treatment",
                    "Outcome and Follow-Up",
                    "Timeline",
                    "Surgical technique",
                    "Therapeutic Protocol",
                    "Physical Examination",
                    "2.1. Past medical history",
                    "3 | METHODS (Differential Diagnosis, Investigations, and Treatment)",
                    "4 | CONCLUSION AND RESULTS (Outcome and Follow-up)",
                ],
            ),
            (
                Part::Discussion,
                &[
                    "Discussion",
                    "4. Discussion and Conclusions",
                    "Conclusion",
                    "Review of the literature",
                    "Literature review",
                    "Learning points",
                    "Discussion of the case",
                    "Guidelines",
                    "Treatment guidelines",
                    "Summary of reported cases",
                    "Review of similar cases",
                ],
            ),
            (Part::Opening, &["Introduction", "1. Introduction", "Background", "Objective"]),
            (Part::Study, &["Materials and Methods", "Patients and methods", "Results", "Patient characteristics"]),
            (
                Part::Apparatus,
                &[
                    "Ethics Statement",
                    "Consent",
                    "Informed consent",
                    "Patient consent",
                    "Consent for publication",
                    "Funding",
                    "Conflict of Interest",
                    "Data Availability Statement",
                    "Author Contributions",
                    "Declaration of competing interest",
                    "Acknowledgments",
                    "Declaration of patient consent",
                    "Ethical approval",
                    "Patient consent for publication",
                    "Statement of Ethics",
                ],
            ),
            (Part::Unknown, &["Diet", "", "Comparison of wings"]),
        ] {
            for title in titles {
                assert_eq!(of(title), part, "{title}");
            }
        }
        for (title, number) in [
            ("Case 1", 1),
            ("2.1. Case 2", 2),
            ("Case report 3: a boy", 3),
            ("Patient B", 2),
            ("Case II", 2),
            ("The first patient", 1),
            ("Case two", 2),
            ("Second case", 2),
            ("Case No. 4", 4),
            ("Patient #2", 2),
            ("CASE 3 (female)", 3),
            ("Case presentation 2", 2),
        ] {
            assert_eq!(of(title), Part::Numbered(number), "{title}");
        }
    }

    #[test]
    fn paragraphs_that_open_a_patient_are_told_from_those_that_only_mention_one() {
        for (text, number) in [
            ("Case 1: A 45-year-old man", Some(1)),
            ("Patient 2 was a 60-year-old woman", Some(2)),
            ("The second patient, a boy,", Some(2)),
            ("Case 1 and case 2 were siblings", None),
            ("Patient A was a girl", Some(1)),
            ("Case a 45-year-old", None),
            ("Patient I saw", None),
            ("Patients 1 and 2", None),
            ("Case 45-year-old man", None),
            ("The patient was a man", None),
            ("The first day", None),
        ] {
            assert_eq!(patient_number(text), number, "{text}");
        }
    }
}
