//! Telling the story of a patient from talk about medicine, by plain signs: who is spoken of, in which tense.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use regex::Regex;

use crate::pattern::{literals, pattern};

use crate::prose::Paragraph;

const PERSON: &str = r"(?:man|woman|boy|girl|male|female|gentleman|lady|patient|infant|neonate|newborn|child|baby|toddler|teenager|adolescent|gravida|primigravida)";

/// Where a text first brings in one person with an age, if it does.
pub(crate) fn introduction(text: &str) -> Option<usize> {
    const LEAD: &str = r"\b(?:an?|our|the|this|one|another|his|her)\s+(?:[\w'’-]+,?\s+)";
    const NUMBER: &str = r"(?:\d{1,3}(?:\.\d+)?|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-\w+)?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen)(?:\s*½)?";
    const UNIT: &str = r"(?:years?|yrs?|months?|weeks?|days?|y)";
    const DECADE: &str = r"in (?:his|her) (?:early |mid-? ?|late )?(?:\d0s|teens|twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties)";
    static AGED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?i){LEAD}{{0,8}}?(?:{NUMBER}[\s-]*{UNIT}(?:-\d+-?{UNIT})?[\s/-]*(?:old|of age|o\b)|{PERSON}\s*,?\s+(?:(?:was\s+)?(?:aged\s+|of\s+)?{NUMBER}[\s-]*{UNIT}\b|aged\s+\d|{DECADE}))"
        ))
    });
    // Notes of few words: "Female, 83 years old, with hypertension."
    static TERSE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(r"(?i)^(?:(?:case|patient)[^:]{{0,12}}:\s*)?{PERSON},?\s+(?:aged\s+)?{NUMBER}[\s-]*{UNIT}\b"))
    });
    AGED.find(text).or_else(|| TERSE.find(text)).map(|found| found.start())
}

/// Like [`introduction`], but content with a person who comes, has or is given something.
pub(crate) fn mentions_one_person(text: &str) -> bool {
    static SOMEONE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?i)\b(?:an?|our|the|this)\s+(?:[\w'’-]+,?\s+){{0,6}}?{PERSON}\s+(?:was|is|had|has|who|with|presented|presents|came|complained|developed|underwent|visited|in (?:his|her))\b"
        ))
    });
    introduction(text).is_some() || SOMEONE.is_match(text)
}

/// Whether a paragraph opens by bringing in a person.
pub(crate) fn opens_with_a_person(text: &str) -> bool {
    introduction(text).is_some_and(|start| start <= 40)
}

/// How often a single person is spoken of.
pub(crate) fn personal_references(text: &str) -> usize {
    static PERSONAL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?i)\b(?:she|he|her|his|him|(?:the|our|this)\s+(?:\w+\s+)?{PERSON}(?:['’]s)?|patient['’]s|\d[\s-]*(?:year|month|week|day)s?[\s-]*old)\b"
        ))
    });
    PERSONAL.find_iter(text).count()
}

/// Whether a section under an unclear heading goes on about the patient.
pub(crate) fn narrates(text: &str) -> bool {
    let words = text.split_whitespace().count();
    words > 0 && personal_references(text) * 90 >= words
}

/// How often a paragraph turns to what others have found.
fn learned(paragraph: &Paragraph) -> usize {
    paragraph.citations + literature(&paragraph.text)
}

fn literature(text: &str) -> usize {
    static LITERATURE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\bliterature\b|\bet al\b|\bstud(?:y|ies)\b|case reports\b|\bto our knowledge\b|\bto the best of\b|\bin conclusion\b|\bour case\b|\bthis case (?:report )?(?:highlights|illustrates|demonstrates|emphasi|shows|suggests|underlines|report)|\breported (?:cases|in)\b|\bhas been reported\b|\bhave been (?:reported|described)\b|\bincidence\b|\bprevalence\b|\bguidelines\b|\bwe (?:believe|suggest|recommend|conclude)",
        )
    });
    LITERATURE.find_iter(text).count()
}

/// Whether paragraphs that speak of a patient do so to hold the case against what others have found.
pub(crate) fn compares(paragraphs: &[&Paragraph]) -> bool {
    let learned: usize = paragraphs.iter().map(|paragraph| learned(paragraph)).sum();
    let personal: usize = paragraphs.iter().map(|paragraph| personal_references(&paragraph.text)).sum();
    learned >= 2 && learned * 2 >= personal
}

/// Whether a paragraph talks about medicine at large rather than about what happened to the patient.
pub(crate) fn is_discussion(paragraph: &Paragraph) -> bool {
    static PAST: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:was|were|had|did|underwent|showed|revealed|received|presented|became|began|felt|found|reported|required|recovered|remained|improved|developed|started|returned|complained|denied|decided|performed|demonstrated|tolerated)\b",
        )
    });
    static PRESENT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:is|are|has|have|may|can|should|must|might|could|would|does|do|include|includes|remains|remain|suggests?|shows|occurs?|requires?|represents?|depends?|serves?|reduces?|leads?|allows?|permits?|provides?|highlights?|emphasi[sz]es?)\b",
        )
    });
    static AFTERWARDS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:days?|weeks?|months?|years?|hours?)\s+(?:after|later|following|post)|\bfollow-?\s?up\b|\bon (?:post-?operative |hospital )?day\b|\bat present\b|\bcurrently\b",
        )
    });
    let text = &paragraph.text;
    let past = PAST.find_iter(text).count();
    let present = PRESENT.find_iter(text).count();
    let learned = learned(paragraph);
    if paragraph.introduction().is_some_and(|start| start <= 40) || (AFTERWARDS.is_match(text) && learned < 2) {
        return false;
    }
    (learned > 0 && present > past)
        || learned >= 3 && personal_references(text) < 3
        || literature(text) >= 3 && literature(text) * 2 >= personal_references(text)
        || (past == 0 && present >= 2 && personal_references(text) == 0)
}

/// Whether a sentence is about permission to publish or to study, not about the illness.
pub(crate) fn is_formality(sentence: &str) -> bool {
    static FORMALITY: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?ix)\bconsent\b.{0,160}\b(?:publi|case\ report|journal|images?\b|photograph|manuscript|this\ (?:case|report|study|paper|article)|participat|data\b)|\b(?:publi(?:sh|cation)|photograph|participat|case\ report).{0,160}\bconsent
            | \bethic(?:s|al)\ (?:committee|approval|review|board|standards|clearance|permission|consideration)|institutional\ review\ board|\birb\b|declaration\ of\ helsinki|\bhelsinki\ declaration|\bresearch\ ethics
            | \b(?:CARE|SCARE|PROCESS)\ (?:\w+\ )?(?:guidelines?|checklist|criteria|statement)|permission\ (?:to|for)\ (?:publish|publication)|agreed\ to\ (?:the\ )?publi|approved\ the\ publication",
        )
    });
    static CONSENT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\W*(?:the patient|the parents?|patient|he|she|(?:a )?written(?:,? informed)?|informed|signed)\b.{0,80}\bconsent\b",
        )
    });
    static CLINICAL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)surg|operat|procedure|treat|therap|an(?:a)?esth|biops|transfus|transplant|infus|inject|resect|test|vaccin|drug|administ|chemo|intervention|amput|section|deliver|imaging|scan|sequenc|examin|underwent|laparo|catheter|implant|autops|abort|terminat|intubat",
        )
    });
    // Who brings the patient in says more than how the study was approved.
    (FORMALITY.is_match(sentence) || (CONSENT.is_match(sentence) && !CLINICAL.is_match(sentence)))
        && (sentence.to_lowercase().contains("consent") || introduction(sentence).is_none())
}

/// Whether a sentence does nothing but point at a figure or table.
fn is_pointer(sentence: &str) -> bool {
    static POINTER: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^[^;]{0,160}\b(?:shown|summari[sz]ed|presented|listed|illustrated|depicted|displayed|given|provided|seen|found|detailed|described|reported)\s+(?:schematically\s+|below\s+)?(?:in|by|as)\s+(?:the\s+)?(?:supplementary\s+|supplemental\s+|online\s+|additional\s+)*(?:figs?\.?|figures?|tables?|videos?|files?|materials?|appendix)\s*[\w.,–&-]{0,8}(?:\s*(?:and|to|,)\s*(?:figs?\.?|figures?|tables?)?\s*\w{1,4})*[.)]*$",
        )
    });
    static BARE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\W*(?:please\s+)?(?:(?:see|refer to|as (?:shown|seen) in)\s+)?(?:supplementary\s+|additional\s+)?(?:figs?\.?|figures?|tables?|videos?)\s*\w{0,4}(?:\s*(?:and|,|-|–)\s*\w{1,3})*\W*$",
        )
    });
    // What is left of "The timeline was shown (Figure 3)." once the figure is gone.
    static EMPTIED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^.{0,60}\b(?:time-?line|pedigree)\b.{0,40}\b(?:is|are|was|were)\s+(?:also\s+)?(?:shown|summari[sz]ed|presented|illustrated|depicted|displayed|given|provided|described)[.\s]*$",
        )
    });
    BARE.is_match(sentence)
        || EMPTIED.is_match(sentence)
        || POINTER.is_match(sentence) && sentence.split_whitespace().count() <= 22
}

/// What a sentence says before it points: "Liver enzymes improved, as can be seen in Table 2."
fn before_pointing(sentence: &str) -> Option<&str> {
    static ASIDE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(?:,\s*|\s*\()as\s+(?:is\s+|are\s+)?(?:can\s+be\s+)?(?:also\s+)?(?:shown|seen|summari[sz]ed|presented|listed|illustrated|depicted|displayed|given|provided|detailed|described|reported)\s",
        )
    });
    let aside = ASIDE.find(sentence)?;
    let head = &sentence[..aside.start()];
    (head.split_whitespace().count() >= 4).then_some(head)
}

/// `text` without sentences on formalities and without what only points at a figure.
pub(crate) fn case_sentences(text: &str) -> String {
    // A word of each thing that takes a sentence out; most paragraphs have none.
    static SUSPECT: LazyLock<AhoCorasick> = LazyLock::new(|| {
        // Each as it may begin a sentence or stand in capitals: case folding would cost the vector search.
        const WORDS: [&str; 21] = [
            "consent",
            "ethic",
            "institutional review",
            "irb",
            "helsinki",
            "guideline",
            "checklist",
            "criteria",
            "statement",
            "permission",
            "agreed to",
            "approved the pub",
            "fig",
            "table",
            "video",
            "file",
            "material",
            "appendix",
            "timeline",
            "time-line",
            "pedigree",
        ];
        let capitalised = |word: &str| format!("{}{}", word[..1].to_uppercase(), &word[1..]);
        let all = WORDS.iter().flat_map(|word| [(*word).to_owned(), capitalised(word), word.to_uppercase()]);
        literals(all)
    });
    if !SUSPECT.is_match(text) {
        return text.to_owned();
    }
    let all = sentences(text);
    let mut kept: Vec<Cow<'_, str>> = Vec::with_capacity(all.len());
    let mut whole = true;
    for sentence in all {
        if !SUSPECT.is_match(sentence) {
            kept.push(Cow::Borrowed(sentence));
        } else if is_formality(sentence) {
            whole = false;
        } else if is_pointer(sentence) {
            whole = false;
            kept.extend(before_pointing(sentence).map(|head| Cow::Owned(format!("{head}."))));
        } else {
            kept.push(Cow::Borrowed(sentence));
        }
    }
    if whole { text.to_owned() } else { kept.join(" ") }
}

/// Sentences, cut where a full stop is followed by a capital; abbreviations before a name or number do not end one.
fn sentences(text: &str) -> Vec<&str> {
    static END: LazyLock<Regex> = LazyLock::new(|| pattern(r#"[.!?][)\]”"']*\s+"#));
    const OPEN: [&str; 18] = [
        "dr", "mr", "mrs", "ms", "prof", "fig", "figs", "no", "vs", "e.g", "i.e", "approx", "st", "al", "ca", "cf",
        "dept", "inc",
    ];
    let mut found = Vec::new();
    let mut start = 0;
    for end in END.find_iter(text) {
        let next = text[end.end()..].chars().next();
        let before = text[start..end.start()].rsplit([' ', '(']).next().unwrap_or_default().to_lowercase();
        let begins = next.is_some_and(|next| next.is_uppercase() || next.is_ascii_digit() || "([“\"".contains(next));
        if begins && !OPEN.contains(&before.as_str()) {
            found.push(text[start..end.end()].trim_end());
            start = end.end();
        }
    }
    if start < text.len() {
        found.push(&text[start..]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_brought_in_one_at_a_time() {
        for text in [
            "A 45-year-old man was admitted.",
            "We report the case of a previously healthy, 3 month old girl.",
            "A woman aged 45 years came.",
            "A man in his sixties came.",
            "In March, a never-smoking woman of 66 years was found",
            "A sixty-two-year-old lady",
            "Our patient, an 81-year-old",
            "Female, 83 years old (y/o), with hypertension",
            "Male, 44 y/o, with fever",
            "An otherwise healthy man, 54 years old, came",
        ] {
            assert!(introduction(text).is_some(), "{text}");
        }
        for text in [
            "Patients aged 18 to 65 years were included.",
            "Participants were at least 18 years old.",
            "The disease affects women over 50 years of life.",
            "All dogs were older than two.",
        ] {
            assert!(introduction(text).is_none(), "{text}");
        }
        assert!(mentions_one_person("The patient was seen in clinic."));
    }

    #[test]
    fn what_a_sentence_says_before_it_points_stays() {
        for (text, kept) in [
            (
                "Her liver enzymes had improved, as can be seen in Table 2. She left.",
                "Her liver enzymes had improved. She left.",
            ),
            ("His serum ferritin was very high (as given in Table 1).", "His serum ferritin was very high."),
            ("The course is as shown in Figure 2.", ""),
            ("He made a great recovery. The patient's timeline was shown.", "He made a great recovery."),
            ("The family's pedigree was shown to a geneticist.", "The family's pedigree was shown to a geneticist."),
            (
                "A 16-year-old male with DOCK8 deficiency was enrolled on an IRB-approved trial.",
                "A 16-year-old male with DOCK8 deficiency was enrolled on an IRB-approved trial.",
            ),
        ] {
            assert_eq!(case_sentences(text), kept, "{text}");
        }
    }

    #[test]
    fn formalities_go_and_consent_to_treatment_stays() {
        let text = "He agreed. Written informed consent was obtained from the patient for publication of this case report. \
                    Informed consent for surgery was obtained. The study was approved by the local Ethics Committee. Dr. Ito operated. \
                    The family tree is shown in Figure 1E. Figure 2 shows a mass of 3 cm. Results are listed in Tables 1 and 2. See Figure 1.";
        assert_eq!(
            case_sentences(text),
            "He agreed. Informed consent for surgery was obtained. Dr. Ito operated. Figure 2 shows a mass of 3 cm."
        );
    }
}
