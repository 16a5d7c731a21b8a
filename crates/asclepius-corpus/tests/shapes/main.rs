//! Small articles of every shape, through the public door.

mod encodings;
mod floats;
mod inside;

use std::io::Write;
use std::path::Path;

use asclepius_corpus::{CorpusConfig, CorpusError, Outcome, fingerprint_inputs, ingest, sources};
use asclepius_schema::{Dropped, Fingerprint, Licence, Reason, Report, Sex};
use flate2::Compression;
use flate2::write::GzEncoder;

const BY: &str = "https://creativecommons.org/licenses/by/4.0/";
const MAN: &str = "A 45-year-old man was admitted with fever and a cough that had lasted for nine days. His temperature was 39.1 °C and \
    the right lung was dull at the base. A chest radiograph showed consolidation of the right lower lobe. He was treated with \
    amoxicillin for a week, the fever fell on the second day, and he went home on the sixth day without complaints.";
const GIRL: &str = "A 7-year-old girl was brought by her mother with a limp that had begun three weeks before. Her left hip was painful \
    on rotation. Magnetic resonance imaging showed an effusion and no change of the bone. She was given ibuprofen and kept in \
    bed, the pain went away within five days, and at three months she ran and played as her friends did.";
const TALK: &str = "Pneumonia is a common disease and its incidence is rising in many countries. Several studies have reported that early \
    treatment may improve the outcome, and guidelines suggest that it should be given to most patients.";

/// An article with what a test is about left open.
struct Paper {
    id: &'static str,
    kind: &'static str,
    title: &'static str,
    front: String,
    licence: String,
    body: String,
    tail: String,
}

impl Paper {
    fn new(id: &'static str, body: impl Into<String>) -> Self {
        Self {
            id,
            kind: "case-report",
            title: "Fever in a traveller",
            front: String::new(),
            licence: format!("<license xlink:href=\"{BY}\"><license-p>Open access.</license-p></license>"),
            body: format!("<body>{}</body>", body.into()),
            tail: String::new(),
        }
    }

    fn xml(&self) -> String {
        let id = if self.id.is_empty() {
            String::new()
        } else {
            format!("<article-id pub-id-type=\"pmcid\">{}</article-id>", self.id)
        };
        format!(
            "<!DOCTYPE article PUBLIC \"-//NLM//DTD JATS v1.2//EN\" \"absent.dtd\">\n\
             <article xmlns:xlink=\"http://www.w3.org/1999/xlink\" article-type=\"{}\"><front><journal-meta><journal-title-group>\
             <journal-title>Annals of Cases</journal-title></journal-title-group></journal-meta><article-meta>{id}{}<title-group>\
             <article-title>{}</article-title></title-group><contrib-group><contrib contrib-type=\"author\"><name><surname>Ito</surname>\
             <given-names>Aki</given-names></name></contrib></contrib-group><pub-date pub-type=\"epub\"><year>2024</year></pub-date>\
             <permissions>{}</permissions></article-meta></front>{}<back><ref-list><ref><p>Some reference.</p></ref></ref-list></back>{}</article>",
            self.kind, self.front, self.title, self.licence, self.body, self.tail
        )
    }
}

fn section(title: &str, inner: &str) -> String {
    format!("<sec><title>{title}</title>{inner}</sec>")
}

fn paragraphs(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("<p>{text}</p>")).collect::<Vec<_>>().concat()
}

fn case() -> String {
    section("Case report", &paragraphs(&[MAN]))
}

fn config(directory: &Path) -> CorpusConfig {
    CorpusConfig { inputs: vec![directory.to_owned()], ..CorpusConfig::default() }
}

fn run(config: &CorpusConfig) -> Vec<Outcome> {
    let mut all = Vec::new();
    let mut take = |outcome| {
        all.push(outcome);
        Ok(())
    };
    ingest(config, &mut take, &|done, total| assert!(done <= total)).expect("readable");
    all
}

fn read_files(files: &[(&str, &[u8])]) -> Vec<Outcome> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, bytes) in files {
        fs_err::write(directory.path().join(name), bytes).expect("writable");
    }
    run(&config(directory.path()))
}

fn read(paper: &Paper) -> Outcome {
    let mut all = read_files(&[("a.xml", paper.xml().as_bytes())]);
    assert_eq!(all.len(), 1, "one article, one outcome");
    all.remove(0)
}

fn reports(paper: &Paper) -> Vec<Report> {
    match read(paper) {
        Outcome::Admitted { reports, .. } => reports,
        other => panic!("{other:?}"),
    }
}

fn reason(paper: &Paper) -> Reason {
    dropped(read(paper)).reason
}

fn dropped(outcome: Outcome) -> Dropped {
    match outcome {
        Outcome::Dropped(dropped) => dropped,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plain_report_is_read_whole() {
    let body =
        section("1. Introduction", &paragraphs(&[TALK])) + &case() + &section("Discussion", &paragraphs(&[TALK]));
    let report = &reports(&Paper {
        front: "<article-id pub-id-type=\"pmcid-ver\">PMC77.3</article-id><article-id pub-id-type=\"doi\">10.5555/a.1</article-id>\
                <article-categories><subj-group><subject>Case Report</subject></subj-group></article-categories>"
            .to_owned(),
        ..Paper::new("77", body)
    })[0];
    assert_eq!(report.report, MAN);
    assert_eq!(
        (report.report_id.as_str(), report.patient_id, report.article_id.as_str()),
        ("PMC77.3-1", 77_001, "PMC77")
    );
    assert_eq!((report.age.expect("stated").value, report.sex, report.licence), (45.0, Sex::Male, Licence::CcBy));
    assert_eq!(
        (report.licence_url.as_str(), report.section.as_str(), report.source.as_str()),
        (BY, "Case report", "a.xml")
    );
    assert_eq!(
        report.attribution,
        format!(
            "Ito Aki. Fever in a traveller. Annals of Cases. 2024. https://doi.org/10.5555/a.1. PMC77. Licence CC BY ({BY}). \
             Changed: only the case text is kept, without citations and figures; tables and captions apart"
        )
    );
}

#[test]
fn several_patients_are_split_whatever_separates_them() {
    let numbered = |title: &str, text: &str| section(title, &paragraphs(&[text]));
    let talk = section("Discussion", &paragraphs(&[TALK]));
    let bold = |text: &str| format!("<p><bold>{text}</bold></p>");
    let first = format!("Case 1: {MAN}");
    let second = format!("Case 2: {GIRL}");
    for body in [
        numbered("Case 1", MAN) + &numbered("Case 2", GIRL) + &talk,
        numbered("Introduction", TALK) + &numbered("First case", MAN) + &numbered("Second case", GIRL),
        section("2. Case presentation", &(numbered("2.1. Case 1", MAN) + &numbered("2.2. Case 2", GIRL))) + &talk,
        section(
            "Cases",
            &(format!(
                "<p>We report two cases.</p>{}<p>{MAN}</p>{}<p>{GIRL}</p>",
                bold("Patient A"),
                bold("Patient B")
            )),
        ),
        section("Case series", &paragraphs(&[&first, &second])) + &talk,
        section("Case series", &paragraphs(&["We saw two patients.", MAN, GIRL])),
        section("Cases", &(numbered("Boy with fever", MAN) + &numbered("Girl with a limp", GIRL))),
        section(
            "Case presentation",
            &(section("Case 1 and history", &paragraphs(&[MAN]))
                + &section("Case 2", &section("History", &paragraphs(&[GIRL])))),
        ),
        section("Methods", &(numbered("Patient 1", MAN) + &numbered("Patient 2", GIRL))) + &talk,
    ] {
        let found = reports(&Paper::new("8", body.clone()));
        let texts: Vec<&str> = found
            .iter()
            .map(|report| report.report.trim_start_matches("Case 1: ").trim_start_matches("Case 2: "))
            .collect();
        assert_eq!(texts, [MAN, GIRL], "{body}");
        assert_eq!(found.iter().map(|report| report.sex).collect::<Vec<_>>(), [Sex::Male, Sex::Female]);
        assert_eq!(found[1].report_id.as_str(), "PMC8.1-2");
    }
}

#[test]
fn one_patient_stays_one() {
    for (body, ends) in [
        (
            section(
                "Case presentation",
                &(section("History", &paragraphs(&[MAN])) + &section("Treatment", "<p>He was given oxygen.</p>")),
            ),
            "oxygen.",
        ),
        (
            case()
                + &section("Treatment", "<p>He was given oxygen.</p>")
                + &section("Outcome", "<p>He recovered.</p>")
                + &section("Discussion", &paragraphs(&[TALK])),
            "recovered.",
        ),
        (section("Case 1", &paragraphs(&[MAN])), "complaints."),
        (
            section("1 | Introduction", &paragraphs(&[TALK]))
                + &section("2 | Case history", &paragraphs(&[MAN]))
                + &section("3 | Methods", "<p>He was given oxygen.</p>")
                + &section("4 | Conclusion and results", "<p>He recovered.</p>")
                + &section("5 | Discussion", &paragraphs(&[TALK])),
            "recovered.",
        ),
        (section("Case report and discussion", &paragraphs(&[MAN, TALK])), "complaints."),
        (section("Introduction and case report", &paragraphs(&[TALK, MAN])), "complaints."),
        (
            paragraphs(&[MAN, "At one year he was well and had gone back to his work.", TALK])
                + &section("Ethics", "<p>Consent was given.</p>"),
            "work.",
        ),
        (
            section("Clinical findings", &paragraphs(&[MAN]))
                + &section("Outcome", "<p>He recovered.</p>")
                + &section("Comment", &paragraphs(&[TALK])),
            "recovered.",
        ),
        (section("Main text", &(case() + &section("Discussion", &paragraphs(&[TALK])))), "complaints."),
        (
            section(
                "Case report",
                &(paragraphs(&[MAN])
                    + &section("Discussion", &paragraphs(&[TALK]))
                    + &section("Consent", "<p>Consent was given.</p>")),
            ),
            "complaints.",
        ),
        (
            section(
                "Case report",
                &paragraphs(&[
                    MAN,
                    "Written informed consent was obtained from the patient for publication of this report.",
                ]),
            ),
            "complaints.",
        ),
        (section("Case report", &paragraphs(&[MAN, "<bold>Discussion</bold>", TALK])), "complaints."),
        (section("Case report", &paragraphs(&["The patient was the second of two children. ", MAN])), "complaints."),
    ] {
        let found = reports(&Paper::new("9", body.clone()));
        assert_eq!(found.len(), 1, "{body}");
        assert!(
            found[0].report.contains("right lower lobe") && found[0].report.ends_with(ends),
            "{body}\n{}",
            found[0].report
        );
        assert!(!found[0].report.contains("incidence"), "{body}");
    }
}

#[test]
fn people_without_an_exact_age_are_people() {
    let text = MAN.replace("A 45-year-old man", "A man in his forties");
    let found = &reports(&Paper::new("5", section("Case", &paragraphs(&[&text]))))[0];
    assert_eq!((found.age, found.sex), (None, Sex::Male));
    let text = MAN.replace("A 45-year-old man", "The patient");
    assert_eq!(reports(&Paper::new("5", section("Clinical history", &paragraphs(&[&text])))).len(), 1);
}

#[test]
fn floats_and_references_leave_no_trace() {
    let body = format!(
        "<sec><title>Case report</title><p>{MAN} The scan (<xref ref-type=\"fig\" rid=\"f\">Figure 1</xref>) was normal \
         [<xref ref-type=\"bibr\" rid=\"r\">1</xref>].<fig id=\"f\"><label>Figure 1</label><caption><p>A scan of the chest.</p></caption></fig></p>\
         <table-wrap><label>Table 1</label><table><tr><td>Sodium</td></tr></table></table-wrap><p>He had:</p>\
         <list><list-item><p>no fever</p></list-item></list></sec>"
    );
    let text = reports(&Paper::new("5", body)).remove(0).report;
    assert!(text.ends_with("The scan was normal.\n\nHe had:\n\nno fever"), "{text}");
}

#[test]
fn every_gate_has_its_reason() {
    let heading = |text: &str| {
        format!("<article-categories><subj-group><subject>{text}</subject></subj-group></article-categories>")
    };
    let related = |kind: &str| format!("<related-article related-article-type=\"{kind}\"/>");
    let licence = |url: &str| format!("<license xlink:href=\"{url}\"/>");
    let paper = || Paper::new("1", case());
    let long = paragraphs(&[TALK, TALK, TALK]);
    for (expected, paper) in [
        (Reason::LicenceMissing, Paper { licence: String::new(), ..paper() }),
        (Reason::LicenceMissing, Paper { licence: "<license license-type=\"open-access\"><license-p>Open access.</license-p></license>".to_owned(), ..paper() }),
        (Reason::LicenceNotAdmitted, Paper { licence: licence("https://creativecommons.org/licenses/by-nc-nd/4.0/"), ..paper() }),
        (Reason::LicenceConflict, Paper { licence: format!("<license xlink:href=\"{BY}\"><license-p>CC BY-NC 4.0</license-p></license>"), ..paper() }),
        (Reason::LicenceConflict, Paper { licence: licence(BY) + &licence("https://creativecommons.org/licenses/by-nc/4.0/"), ..paper() }),
        (Reason::LicenceConflict, Paper { front: "<custom-meta-group><custom-meta><meta-name>pmc-license-ref</meta-name><meta-value>CC BY-NC</meta-value></custom-meta></custom-meta-group>".to_owned(), ..paper() }),
        (Reason::Retracted, Paper { title: "RETRACTED: Fever in a traveller", ..paper() }),
        (Reason::Retracted, Paper { front: related("retraction-forward"), ..paper() }),
        (Reason::Retracted, Paper { kind: "retraction", front: related("retracted-article"), ..paper() }),
        (Reason::Retracted, Paper { kind: "retraction", licence: String::new(), body: String::new(), ..paper() }),
        (Reason::Corrected, Paper { kind: "correction", ..paper() }),
        (Reason::Corrected, Paper { front: related("expression-of-concern"), ..paper() }),
        (Reason::NotCaseReport, Paper { kind: "research-article", ..paper() }),
        (Reason::NotCaseReport, Paper { kind: "letter", ..paper() }),
        (Reason::NotCaseReport, Paper { front: heading("Meeting Report"), ..paper() }),
        (Reason::NotCaseReport, Paper::new("1", section("Methods", &long) + &section("Results", &long))),
        (Reason::NotCaseReport, Paper::new("1", section("Meeting", &long))),
        (Reason::NotHuman, Paper { title: "Fever in a dog", ..Paper::new("1", case().replace("45-year-old man", "4-year-old beagle")) }),
        (Reason::NoBody, Paper { body: String::new(), ..paper() }),
        (Reason::NoBody, Paper { body: "<body/>".to_owned(), ..paper() }),
        (Reason::NoBody, Paper::new("1", section("Funding", &paragraphs(&[TALK])))),
        (Reason::TooShort, Paper::new("1", section("Case", "<p>A 45-year-old man was admitted with fever and cough. He was treated, and he went home well on the sixth day after that.</p>"))),
        (Reason::Language, Paper::new("1", section("Case", &"<p>Une femme de 45 ans a été admise à l'hôpital pour une fièvre et une toux depuis deux jours.</p>".repeat(9)))),
    ] {
        assert_eq!(reason(&paper), expected, "{}", paper.xml());
    }
    assert_eq!(reports(&Paper { kind: "research-article", front: heading("Case Report"), ..paper() }).len(), 1);
    assert_eq!(reports(&Paper { kind: "case-study", ..paper() }).len(), 1);
    let waiver = "<license><license-p>Creative Commons Attribution 4.0 International License (http://creativecommons.org/licenses/by/4.0/). The \
                  Creative Commons Public Domain Dedication waiver (http://creativecommons.org/publicdomain/zero/1.0/) applies to the data.</license-p></license>";
    assert_eq!(reports(&Paper { licence: waiver.to_owned(), ..paper() })[0].licence, Licence::CcBy);
}

#[test]
fn duplicates_are_refused_by_id_doi_and_text() {
    let doi = "<article-id pub-id-type=\"doi\">10.5555/A</article-id>".to_owned();
    let lower = doi.replace("/A", "/a");
    let respaced = case().replace("fever and a cough", "FEVER  and, a cough");
    let other = section("Case", &paragraphs(&[GIRL]));
    let files = [
        Paper { front: doi, ..Paper::new("1", case()) },
        Paper::new("2", respaced),
        Paper::new("1", other.clone()),
        Paper { front: lower, ..Paper::new("3", other.clone()) },
        Paper::new("4", other),
    ]
    .map(|paper| paper.xml());
    let named: Vec<(String, &[u8])> =
        files.iter().enumerate().map(|(at, xml)| (format!("{at}.xml"), xml.as_bytes())).collect();
    let named: Vec<(&str, &[u8])> = named.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let reasons: Vec<Option<Reason>> = read_files(&named)
        .into_iter()
        .map(|outcome| if let Outcome::Dropped(dropped) = outcome { Some(dropped.reason) } else { None })
        .collect();
    let duplicate = Some(Reason::Duplicate);
    assert_eq!(reasons, [None, duplicate, duplicate, duplicate, None]);
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn unreadable_files_are_named_and_the_run_goes_on() {
    let good = Paper::new("1", case()).xml();
    let set = format!(
        "<pmc-articleset>{}{}</pmc-articleset>",
        Paper::new("2", section("Case", &paragraphs(&[GIRL]))).xml().split_once('\n').expect("a document type").1,
        "<article><front/></article>"
    );
    let latin = good
        .replace("°", "\u{1}")
        .into_bytes()
        .into_iter()
        .map(|byte| if byte == 1 { 0xb0 } else { byte })
        .collect::<Vec<u8>>();
    let squeezed = gz(good.as_bytes());
    let found = read_files(&[
        ("a-cut.xml", &good.as_bytes()[..good.len() / 2]),
        ("b-text.xml", b"not a document"),
        ("c-latin.nxml", &latin),
        ("d-empty.xml", b""),
        ("e-page.xml", b"<html><body><article><p>Hello.</p></article></body></html>"),
        ("f-cut.xml.gz", &squeezed[..squeezed.len() / 2]),
        ("g-no.tar.gz", b"no archive"),
        ("h-json.xml", b"{}"),
        ("i-set.xml", set.as_bytes()),
        ("j-wide.xml", b"\xff\xfe<\0a\0"),
        ("k-good.xml", good.as_bytes()),
        ("notes.txt", b"passed over"),
        ("table.csv", b"passed over"),
    ]);
    assert_eq!(found.len(), 12);
    let mut names = Vec::new();
    let mut admitted = Vec::new();
    for outcome in found {
        match outcome {
            Outcome::Admitted { article_id, .. } => admitted.push(article_id.to_string()),
            Outcome::PartDropped(part) => panic!("{part:?}"),
            Outcome::Dropped(dropped) => {
                assert_eq!(dropped.reason, Reason::Unreadable);
                assert!(dropped.detail.starts_with(&dropped.id), "{dropped:?}");
                assert!(dropped.detail.contains("byte ") || dropped.id.contains("tar"), "{dropped:?}");
                names.push(dropped.id);
            }
        }
    }
    assert_eq!(admitted, ["PMC2", "PMC1"]);
    assert_eq!(
        names,
        [
            "a-cut.xml",
            "b-text.xml",
            "c-latin.nxml",
            "d-empty.xml",
            "e-page.xml",
            "f-cut.xml.gz",
            "g-no.tar.gz",
            "h-json.xml",
            "i-set.xml",
            "j-wide.xml"
        ]
    );
}

#[test]
fn no_damage_of_any_byte_stops_a_run() {
    let good = Paper::new("1", case()).xml().into_bytes();
    let mut files = Vec::new();
    for cut in (0..good.len()).step_by(41) {
        files.push((format!("cut-{cut:05}.xml"), good[..cut].to_vec()));
    }
    let cuts = files.len();
    for at in (0..good.len()).step_by(13) {
        let mut bent = good.clone();
        bent[at] = [b'<', b'&', b'>', 0, 0xff, b'"'][at % 6];
        files.push((format!("bent-{at:05}.xml"), bent));
    }
    let named: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let found = read_files(&named);
    assert_eq!(found.len(), files.len());
    let unreadable = |outcome: &&Outcome| matches!(outcome, Outcome::Dropped(dropped) if dropped.reason == Reason::Unreadable && dropped.id.starts_with("cut"));
    assert_eq!(found.iter().filter(unreadable).count(), cuts);
}

#[test]
fn compressed_files_archives_and_folders_give_what_plain_files_give() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let below = directory.path().join("b");
    fs_err::create_dir_all(&below).expect("writable");
    let article = |id, text: &str| Paper::new(id, section("Case", &paragraphs(&[text]))).xml().into_bytes();
    fs_err::write(below.join("PMC1.xml.gz"), gz(&article("1", MAN))).expect("writable");
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in
        [("x/figure.jpg", b"no".to_vec()), ("x/PMC3.nxml", article("", GIRL)), ("x/cut.xml", b"<article>".to_vec())]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &bytes[..]).expect("memory");
    }
    let bytes = archive.into_inner().expect("memory").finish().expect("memory");
    fs_err::write(directory.path().join("a.tar.gz"), bytes).expect("writable");

    let found = run(&config(directory.path()));
    let Outcome::Admitted { reports, .. } = &found[0] else { panic!("{:?}", found[0]) };
    assert_eq!((reports[0].article_id.as_str(), reports[0].source.as_str()), ("PMC3", "PMC3.nxml"));
    assert!(matches!(&found[1], Outcome::Dropped(dropped) if dropped.id == "a.tar.gz/x/cut.xml"));
    let Outcome::Admitted { reports, .. } = &found[2] else { panic!("{:?}", found[2]) };
    assert_eq!((reports[0].article_id.as_str(), reports[0].source.as_str()), ("PMC1", "PMC1.xml.gz"));
    assert_eq!(run(&CorpusConfig { limit: Some(2), ..config(directory.path()) }).len(), 2);
    assert_eq!(found, run(&config(directory.path())), "the same again");
}

#[test]
fn an_article_without_a_pmcid_has_a_name_that_stays() {
    let doi = "<article-id pub-id-type=\"doi\">10.5555/X</article-id>";
    let one = reports(&Paper { front: doi.to_owned(), ..Paper::new("", case()) }).remove(0);
    let two = reports(&Paper { front: doi.to_lowercase(), title: "Another title", ..Paper::new("", case()) }).remove(0);
    assert!(one.article_id.as_str().starts_with('X') && one.patient_id > 1 << 62);
    assert_eq!((&one.article_id, one.patient_id), (&two.article_id, two.patient_id));
}

#[test]
fn wrong_inputs_are_refused_by_name_before_any_work() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    fs_err::write(path("a.pdf"), b"x").expect("writable");
    fs_err::write(path("p.csv"), b"patient_id,patient_uid\n").expect("writable");
    fs_err::create_dir_all(path("empty")).expect("writable");
    let refused = |name: &str| sources(&config(&path(name))).expect_err("refused");
    assert!(matches!(refused("absent"), CorpusError::InputMissing { .. }));
    assert!(matches!(refused("a.pdf"), CorpusError::InputKind { .. }));
    assert!(matches!(refused("empty"), CorpusError::InputEmpty { .. }));
    let refusal = refused("p.csv");
    assert!(matches!(refusal, CorpusError::LicenceNotAdmitted { .. }));
    assert!(refusal.to_string().contains("p.csv") && refusal.to_string().contains("corpus.licences"), "{refusal}");
    let admitted = CorpusConfig { licences: vec![Licence::CcByNcSa], ..config(&path("p.csv")) };
    let error = ingest(&admitted, &mut |_| Ok(()), &|_, _| ()).expect_err("no table");
    assert!(error.to_string().contains("PMID"), "{error}");
    assert!(CorpusConfig { inputs: vec![], ..CorpusConfig::default() }.validate().is_err());
    assert!(CorpusConfig { licences: vec![], ..CorpusConfig::default() }.validate().is_err());
}

#[test]
fn the_fingerprint_follows_bytes_names_and_settings_but_not_the_folder() {
    let print = |name: &str, text: &str, min_words: usize| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs_err::write(directory.path().join(name), text).expect("writable");
        let config = CorpusConfig { min_words, ..config(directory.path()) };
        fingerprint_inputs(&config, Fingerprint::new("ingest")).expect("readable").finish()
    };
    let one = print("a.xml", "x", 50);
    assert_eq!(one, print("a.xml", "x", 50));
    for other in [print("b.xml", "x", 50), print("a.xml", "y", 50), print("a.xml", "x", 51)] {
        assert_ne!(one, other);
    }
}
