//! Shapes that publishers give case reports: sections, licences, relatives and animals, through the public door.

use asclepius_corpus::{CorpusConfig, Outcome, ingest};
use asclepius_schema::{Reason, Report, Sex};

const BY: &str = "http://creativecommons.org/licenses/by/4.0/";
const MAN: [&str; 3] = [
    "A 58-year-old man came to the emergency room with sudden pain in the upper abdomen that had started six hours before. He \
     took metformin for diabetes.",
    "His abdomen was tender and his pulse was 112 per minute. Serum lipase was 1240 U/L. Computed tomography showed a swollen \
     pancreas with fluid around the tail.",
    "He was given intravenous fluids and kept fasting. The pain went away on the third day, and six months later he was well.",
];
const GIRL: [&str; 3] = [
    "A 9-year-old girl was brought by her parents with a painless lump in the neck that had grown over two months. She had no fever.",
    "Ultrasound showed a round node of 24 mm. A needle biopsy revealed granulomas and the culture grew a mycobacterium. Her chest \
     radiograph was normal.",
    "She underwent excision of the node under general anaesthesia, the wound healed within ten days and no recurrence was seen.",
];
const OPENING: &str = "Pancreatitis is a common disease and its incidence is rising in many regions. Several studies have described drugs \
    as a cause, and guidelines recommend early imaging.";
const TALK: &str = "The mechanism of this association is not clear. Several studies have suggested that enzymes are activated early, and most \
    patients should be monitored. Guidelines recommend that the drug is stopped.";
const COMPARISON: &str = "Our patient had the typical features. In the literature, cases have been reported in which the patient recovered. In our \
    patient the drug was stopped, and our patient did well, which may suggest a causal link. Further studies are needed.";

fn section(title: &str, texts: &[&str]) -> String {
    wrapped(title, &paragraphs(texts))
}

fn wrapped(title: &str, inner: &str) -> String {
    format!("<sec><title>{title}</title>{inner}</sec>")
}

fn kind(kind: &str, title: &str, texts: &[&str]) -> String {
    format!("<sec sec-type=\"{kind}\">{title}{}</sec>", paragraphs(texts))
}

fn paragraphs(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("<p>{text}</p>")).collect::<Vec<_>>().concat()
}

struct Paper {
    kind: &'static str,
    title: &'static str,
    heading: &'static str,
    keyword: &'static str,
    licence: String,
    body: String,
    back: &'static str,
}

impl Paper {
    fn new(body: impl Into<String>) -> Self {
        Self {
            kind: "case-report",
            title: "Pancreatitis after a new drug",
            heading: "Case Report",
            keyword: "drug",
            licence: licence(BY, "open-access", "Open access."),
            body: body.into(),
            back: "",
        }
    }

    fn read(&self) -> Outcome {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let xml = format!(
            "<article xmlns:xlink=\"x\" xmlns:ali=\"y\" article-type=\"{}\"><front><article-meta><article-id pub-id-type=\"pmc\">7</article-id>\
             <article-categories><subj-group><subject>{}</subject></subj-group></article-categories><title-group><article-title>{}\
             </article-title></title-group><permissions>{}</permissions><kwd-group><kwd>{}</kwd></kwd-group></article-meta></front><body>{}</body>\
             <back>{}</back></article>",
            self.kind, self.heading, self.title, self.licence, self.keyword, self.body, self.back
        );
        fs_err::write(directory.path().join("a.xml"), xml).expect("writable");
        let config = CorpusConfig { inputs: vec![directory.path().to_owned()], ..CorpusConfig::default() };
        let mut all = Vec::new();
        let mut take = |outcome| {
            all.push(outcome);
            Ok(())
        };
        ingest(&config, &mut take, &|_, _| ()).expect("readable");
        all.remove(0)
    }

    fn reports(&self) -> Vec<Report> {
        match self.read() {
            Outcome::Admitted { reports, .. } => reports,
            other => panic!("{other:?}\n{}", self.body),
        }
    }

    fn texts(&self) -> Vec<String> {
        self.reports().into_iter().map(|report| report.report).collect()
    }

    fn reason(&self) -> Reason {
        match self.read() {
            Outcome::Dropped(dropped) => dropped.reason,
            other => panic!("{}\n{other:?}", self.licence),
        }
    }
}

fn licence(url: &str, label: &str, text: &str) -> String {
    format!(
        "<license license-type=\"{label}\" xlink:href=\"{url}\"><license-p>{}</license-p></license>",
        text.replace('&', "&amp;")
    )
}

fn joined(parts: &[String]) -> String {
    parts.concat()
}

#[test]
fn the_whole_case_and_nothing_but_the_case() {
    let [first, second, third] = MAN;
    let whole = MAN.join("\n\n");
    let opening = section("INTRODUCTION", &[OPENING]);
    let talk = section("DISCUSSION", &[TALK, COMPARISON]);
    for body in [
        // Sections that go on after the one that announces the case.
        joined(&[
            opening.clone(),
            wrapped(
                "CASE PRESENTATION",
                &(section("Chief complaints", &[first]) + &section("Imaging examinations", &[second])),
            ),
            section("MULTIDISCIPLINARY EXPERT CONSULTATION", &["Surgeons and radiologists gave advice on imaging."]),
            section("OUTCOME AND FOLLOW-UP", &[third]),
            talk.clone(),
        ]),
        // .. and before it.
        joined(&[section("Chief complaint", &[first]), section("Case progression", &[second, third]), talk.clone()]),
        // A summary before the introduction is not the case.
        joined(&[
            section("Case summary", &["A 58-year-old man had pancreatitis and recovered."]),
            opening.clone(),
            section("Case report", &MAN),
            talk.clone(),
        ]),
        // Methods in which nobody is named end nothing; neither does a note on consent.
        joined(&[
            section("2 CASE HISTORY/EXAMINATION", &[first, second]),
            section("3 METHODS", &["Laboratory tests and imaging were repeated every two days for a week."]),
            section("Informed consent", &["Consent was given."]),
            section("4 CONCLUSION AND RESULTS", &[third]),
            talk.clone(),
        ]),
        // Clinical headings that sound like those of an article.
        joined(&[
            opening.clone(),
            wrapped(
                "Case",
                &(section("Background", &[first])
                    + &section("Review of systems", &[second])
                    + &section("Objective findings", &[third])),
            ),
            talk.clone(),
        ]),
        // A discussion without its own heading, or under one that does not say so.
        section("Case Report", &[MAN[0], MAN[1], MAN[2], TALK]),
        joined(&[section("Case report", &MAN), section("Drugs and the pancreas", &[TALK, COMPARISON])]),
        joined(&[section("Case report", &MAN), section("Importance of this case", &[COMPARISON])]),
        // Types in place of headings.
        joined(&[kind("intro", "", &[OPENING]), kind("cases", "", &MAN), kind("discussion", "", &[TALK, COMPARISON])]),
        // Headings within paragraphs.
        joined(&[
            format!("<p><bold>Introduction:</bold> {OPENING}</p>"),
            paragraphs(&MAN),
            format!("<p><bold>Discussion</bold>: {COMPARISON}</p><p>{TALK}</p>"),
        ]),
        joined(&[opening.clone(), section("Report", &MAN), section("Comment", &[TALK])]),
        // A case in a box, and key points in another.
        joined(&[
            wrapped(
                "Case",
                &format!("<boxed-text>{}</boxed-text><boxed-text><p>{TALK}</p></boxed-text>", paragraphs(&MAN)),
            ),
            talk.clone(),
        ]),
        // Questions put to the reader, and concerns put to the doctor.
        joined(&[
            section("2. Patient concerns", &[first]),
            section("What is the diagnosis?", &[second]),
            section("Outcomes", &[third]),
            section("Lessons", &[TALK]),
        ]),
        // A letter in paragraphs only.
        paragraphs(&[OPENING, first, second, third, COMPARISON, TALK]),
        joined(&[opening, section("Participant", &[first]), section("Intervention", &[second, third]), talk]),
    ] {
        assert_eq!(Paper::new(body.clone()).texts(), std::slice::from_ref(&whole), "{body}");
    }
}

#[test]
fn each_patient_gets_all_of_their_sections_and_no_discussion() {
    let talk = section("Discussion", &[TALK]);
    let flat = |number: &str, [first, second, third]: [&str; 3]| {
        section(number, &[first]) + &section("Investigations", &[second]) + &section("Treatment", &[third])
    };
    for body in [
        flat("Case 1", MAN) + &flat("Case 2", GIRL) + &talk,
        kind("cases", "<title>Case 1</title>", &MAN) + &kind("cases", "<title>Case 2</title>", &GIRL) + &talk,
        wrapped("Case presentation", &(section("Patient III-1", &MAN) + &section("Patient III-2", &GIRL))) + &talk,
        section("Case 1", &MAN)
            + &section("Case 1: discussion", &[COMPARISON])
            + &section("Case 2", &GIRL)
            + &section("Case 2: discussion", &[TALK]),
        wrapped("Case presentations", &(section("Ninth case", &MAN) + &section("Tenth case", &GIRL))) + &talk,
        // Families whose patients are numbered anew.
        wrapped("Family 1", &section("Patient 1", &MAN)) + &wrapped("Family 2", &section("Patient 1", &GIRL)) + &talk,
    ] {
        assert_eq!(Paper::new(body.clone()).texts(), [MAN.join("\n\n"), GIRL.join("\n\n")], "{body}");
    }
}

#[test]
fn patients_of_one_age_and_sex_are_two_where_each_is_brought_in() {
    let other = GIRL[0].replace("A 9-year-old girl", "Another 58-year-old man");
    let body = section("Case series", &[MAN[0], MAN[1], MAN[2], &other, GIRL[1], GIRL[2]]);
    assert_eq!(Paper::new(body).reports().len(), 2);
    let again = "This 58-year-old man was seen once more after a year, when he had no pain.";
    assert_eq!(Paper::new(section("Case series", &[MAN[0], MAN[1], MAN[2], again])).reports().len(), 1);
}

#[test]
fn a_case_told_in_few_words_or_with_the_age_late_is_whole() {
    let terse = ["Female, 83 years old, with hypertension.", MAN[1], MAN[2]];
    assert!(Paper::new(section("Case report", &terse)).texts()[0].starts_with("Female, 83 years old"));
    let late = [
        "A girl presented with protein in the urine that was found at school. She had no fever and her pressure was normal.",
        GIRL[0],
        GIRL[1],
    ];
    assert_eq!(Paper::new(paragraphs(&[OPENING, late[0], late[1], late[2], TALK])).texts(), [late.join("\n\n")]);
    let review = Paper { title: "Case report and systematic review: a rare tumour", ..Paper::new(paragraphs(&MAN)) };
    assert_eq!(review.reports().len(), 1);
}

#[test]
fn animals_of_any_name_are_no_people() {
    for (title, who) in [
        ("Eye removed in a Cownose Ray (Rhinoptera bonasus)", "A 5-year-old female was kept in an aquarium."),
        ("A tumour in a Saanen kid", "A 45-day-old male was presented to the Veterinary Teaching Hospital."),
        ("Coronavirus in a herd", "One 11-month-old female calf was found ill."),
    ] {
        let body =
            section("Case report", &[who, "The lump was cut out.", "It healed within ten days. ".repeat(20).trim()]);
        assert_eq!(Paper { title, ..Paper::new(body) }.reason(), Reason::NotHuman, "{title}");
    }
}

#[test]
fn a_hyphen_is_a_hyphen_however_it_is_set() {
    for hyphen in ["\u{2010}", "\u{2011}", "–"] {
        let who = MAN[0].replace('-', hyphen);
        for body in [
            section("1 | CASE PRESENTATION", &[&who, MAN[1], MAN[2]]),
            paragraphs(&[OPENING, &who, MAN[1], MAN[2], TALK]),
        ] {
            let report = Paper::new(body).reports().remove(0);
            assert!(report.report.starts_with("A 58-year-old man"), "{hyphen}: {}", report.report);
            assert_eq!((report.age.map(|age| age.value), report.sex), (Some(58.0), Sex::Male));
        }
        let dog =
            format!("A 4{hyphen}year{hyphen}old Labrador Retriever was seen. The owner said that the dog was lame.");
        assert_eq!(Paper::new(section("Case", &[&dog, MAN[1], MAN[2]])).reason(), Reason::NotHuman, "{hyphen}");
    }
}

#[test]
fn a_heading_may_say_more_than_case_report() {
    let body = section("Case report", &MAN) + &section("Discussion", &[TALK]);
    let headed = |heading| Paper { kind: "research-article", heading, ..Paper::new(body.clone()) };
    for heading in
        ["Case Report - Gastroenterology", "Surgery: Case Report", "Case Report and Review of the Literature"]
    {
        assert_eq!(headed(heading).reports().len(), 1, "{heading}");
    }
    for heading in ["Review of Case Reports", "Original Research"] {
        assert_eq!(headed(heading).reason(), Reason::NotCaseReport, "{heading}");
    }
}

#[test]
fn a_retraction_linked_from_the_back_counts() {
    let back =
        "<notes><p><related-article related-article-type=\"retraction-forward\">Notice</related-article></p></notes>";
    assert_eq!(Paper { back, ..Paper::new(section("Case", &MAN)) }.reason(), Reason::Retracted);
}

#[test]
fn any_word_that_limits_use_keeps_an_article_out() {
    let body = section("Case report", &MAN);
    for licence in [
        licence("http://creativecommons.org/licenses/by/nc/4.0/", "", "Open access."),
        licence(&format!("{BY} http://creativecommons.org/licenses/by-nc/4.0/"), "", "Open access."),
        licence(BY, "creativeCommonsBy-nc-nd", "Open access."),
        licence(BY, "open-access-non-commercial", "Open access."),
        licence(
            BY,
            "",
            "The work cannot be changed in any way or used commercially without permission from the journal.",
        ),
        licence(
            BY,
            "",
            "You do not have permission under this licence to share adapted material derived from this article.",
        ),
        licence(BY, "", "which permits any non- commercial use"),
        licence(BY, "", "Commercial use requires the permission of the publisher."),
        licence(BY, "", "provided that the article is not changed and is properly cited"),
        licence(BY, "", "under the terms of an Attribution-NonDerivative licence"),
        licence(BY, "", "you may not distribute the modified material"),
        licence(BY, "", "Derivative works are not permitted."),
        licence(BY, "", "Open access.")
            + "<ali:program><ali:license_ref>http://creativecommons.org/licenses/by-nc/4.0/</ali:license_ref></ali:program>",
        licence(BY, "", "for personal and educational use only"),
        licence(BY, "", "bajo licencia Creative Commons, que permite su uso sin fines comerciales"),
        licence("", "", "sob a licença Creative Commons Attribution, uso não comercial"),
        licence(BY, "", "Creative Commons Attribution – Pas d’Utilisation Commerciale – Pas de Modification"),
        format!(
            "<license xlink:href=\"{BY}\"><ali:license_ref>https://creativecommons.org/licenses/by-nc-nd/4.0/</ali:license_ref></license>"
        ),
    ] {
        let reason = Paper { licence, ..Paper::new(body.clone()) }.reason();
        assert!(matches!(reason, Reason::LicenceConflict | Reason::LicenceNotAdmitted), "{reason:?}");
    }
}

#[test]
fn words_that_allow_commercial_use_are_no_limit() {
    let body = section("Case report", &MAN);
    for text in [
        "licensed under a Creative Commons Attribution 4.0 International License. The license allows for commercial use.",
        "You may share and adapt the material for any purpose, even commercially, under CC-BY.",
        "Creative Commons Attribution License; both commercial and academic use is free, with or without modification.",
        "Creative Commons Attribution License (CC BY). Commercial use is permitted. Indicate if changes were made.",
        "CC BY 4.0, which lets others distribute and build upon your work, including commercially",
        "CC BY 3.0. Usage, derivative works and distribution are permitted provided that proper credit is given.",
    ] {
        let paper = Paper { licence: licence("", "open-access", text), ..Paper::new(body.clone()) };
        assert_eq!(paper.reports().len(), 1, "{text}");
    }
    let twice = licence(BY, "", "CC BY")
        + &licence(
            "https://creativecommons.org/licenses/by/4.0/deed.es",
            "",
            "Acceso abierto, licencia Creative Commons Atribución 4.0",
        );
    assert_eq!(Paper { licence: twice, ..Paper::new(body) }.reports().len(), 1);
}

#[test]
fn people_who_are_only_called_male_or_female_are_people() {
    for (title, who, keyword) in [
        (
            "Sepsis after a bite of a dog",
            "A 58-year-old male was bitten by his 3-year-old dog. The dog was healthy.",
            "",
        ),
        ("Meningitis in a pig farm owner", "A 58-year-old male pig farm owner came with fever.", ""),
        ("Back pain in a crane operator", "A 58-year-old crane operator came with back pain.", ""),
        ("Jaundice by infection of rat hepatitis E virus", "A 58-year-old male came with jaundice.", ""),
        ("Severe pneumonia", "A 58-year-old male came with fever after a visit to a market.", "avian influenza"),
        ("A case of bird fancier's lung", "A 58-year-old male came with a cough. He kept birds.", ""),
    ] {
        let body = section("Case report", &[who, MAN[1], MAN[2]]);
        let keyword = if keyword.is_empty() { "fever" } else { keyword };
        assert_eq!(Paper { title, keyword, ..Paper::new(body) }.reports().len(), 1, "{title}");
    }
    for (title, who) in [
        (
            "Foreign body in a Pomeranian",
            "A 4-year-old intact female Pomeranian was seen. The owner reported that the dog had eaten a toy.",
        ),
        (
            "Pancreatitis in a cat",
            "A 6-year-old male was seen at a veterinary hospital. The cat was thin. The owner had seen the cat vomit.",
        ),
    ] {
        let body = section("Case report", &[who, MAN[1], MAN[2]]);
        assert_eq!(Paper { title, ..Paper::new(body) }.reason(), Reason::NotHuman, "{title}");
    }
}

#[test]
fn age_and_sex_are_the_patients_and_not_their_mothers() {
    for (who, age, sex) in [
        (
            "A male neonate was delivered at 38 weeks by cesarean section to a healthy 30-year-old primigravida.",
            None,
            Sex::Male,
        ),
        (
            "A 3-day-old neonate, born to a 25-year-old woman after a normal pregnancy, was brought with jaundice.",
            Some(3.0),
            Sex::Male,
        ),
        (
            "A man in his 40s, who had been diagnosed with diabetes at the age of 12, was admitted with pain.",
            None,
            Sex::Male,
        ),
        ("A forty-seven-year-old lady was admitted with pain.", Some(47.0), Sex::Female),
        ("The patient was found to have M. tuberculosis in the sputum.", None, Sex::Male),
    ] {
        let report = Paper::new(section("Case report", &[who, MAN[1], MAN[2]])).reports().remove(0);
        assert_eq!((report.age.map(|age| age.value), report.sex), (age, sex), "{who}");
    }
}
