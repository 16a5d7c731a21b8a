//! The outcome of every real article and of the reports written for this project, against what their manifests say.
//!
//! The real ones lie beside the workspace and are never committed; without them the tests say so and pass.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use asclepius_corpus::{CorpusConfig, Outcome, demographics, ingest};
use asclepius_schema::{Dropped, Licence, Reason, Report, Sex};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder of the real data, or nothing, said aloud.
fn shared(folder: &str) -> Option<PathBuf> {
    let path = root().join("../shared/data").join(folder);
    if path.exists() {
        return Some(path);
    }
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    {
        eprintln!("skipped: there is no {}", path.display());
    }
    None
}

#[derive(Default)]
struct Outcomes {
    admitted: BTreeMap<String, Vec<Report>>,
    dropped: BTreeMap<String, Reason>,
    parts: Vec<Dropped>,
}

fn outcomes(input: &Path, licences: &[Licence]) -> Outcomes {
    let config =
        CorpusConfig { inputs: vec![input.to_owned()], licences: licences.to_vec(), ..CorpusConfig::default() };
    let mut all = Outcomes::default();
    let mut take = |outcome| {
        match outcome {
            Outcome::Admitted { article_id, reports, skipped } => {
                assert!(skipped.is_empty(), "{article_id}: {skipped:?}");
                all.admitted.insert(article_id.to_string(), reports);
            }
            Outcome::Dropped(dropped) => {
                all.dropped.insert(dropped.id, dropped.reason);
            }
            Outcome::PartDropped(part) => all.parts.push(part),
        }
        Ok(())
    };
    ingest(&config, &mut take, &|_, _| ()).expect("readable");
    all
}

const OPEN: [Licence; 2] = [Licence::Cc0, Licence::CcBy];

/// No apparatus: what must never be part of a case text.
fn is_clean(report: &Report) {
    let lower = report.report.to_lowercase();
    for phrase in [
        "this work was supported",
        "conflict of interest",
        "competing interest",
        "data availability",
        "author contributions",
        "ethics committee",
        "institutional review board",
        "for publication",
        "references",
        "et al",
        "click here",
        "figure 1.",
        "creative commons",
    ] {
        assert!(!lower.contains(phrase), "{}: {phrase}", report.report_id);
    }
    for broken in ["()", "[]", " ,", " .", "( ", ",,", "\u{e000}", "\u{e001}", "\u{e002}", "<", "\n\n\n"] {
        // Decimals without their zero and comparisons are prose, not damage.
        let fine = broken == " ." || broken == "<";
        assert!(fine || !report.report.contains(broken), "{}: {broken:?}", report.report_id);
    }
    assert!(!report.attribution.contains('\n') && report.attribution.contains(&report.journal), "{}", report.report_id);
}

#[test]
fn every_real_case_report_comes_in_and_the_odd_ones_stay_out() {
    let Some(folder) = shared("case-reports") else { return };
    let found = outcomes(&folder, &OPEN);
    let several = BTreeMap::from([("PMC8020902", 2), ("PMC8116530", 2), ("PMC8176117", 2), ("PMC8185063", 3)]);
    let odd = BTreeMap::from([
        ("PMC5883596", Reason::NotHuman),
        ("PMC5892033", Reason::NotCaseReport),
        ("PMC5974210", Reason::NotCaseReport),
        ("PMC8093509", Reason::NotCaseReport),
    ]);
    let mut manifest = csv::Reader::from_path(folder.join("manifest.csv")).expect("the manifest is there");
    for row in manifest.deserialize::<BTreeMap<String, String>>() {
        let row = row.expect("a row");
        let id = row["pmcid"].as_str();
        if row["group"] == "edge" {
            assert_eq!(found.dropped.get(id), odd.get(id), "{id}");
            continue;
        }
        let reports = found.admitted.get(id).unwrap_or_else(|| panic!("{id}: {:?}", found.dropped.get(id)));
        assert_eq!(reports.len(), several.get(id).copied().unwrap_or(1), "{id}");
        for report in reports {
            is_clean(report);
            assert_eq!(
                (report.licence, &report.doi, &report.journal),
                (Licence::CcBy, &row["doi"], &row["journal"]),
                "{id}"
            );
            assert_eq!(report.year.map(|year| year.to_string()).as_deref(), Some(row["year"].as_str()), "{id}");
            assert!(row["license_url"].contains(&report.licence_url) && !report.licence_url.is_empty(), "{id}");
            assert!(report.age.is_some() && report.sex != Sex::Unknown, "{}: {:?}", report.report_id, report.age);
        }
    }
}

/// Where a person cut the case of one patient, reading the article: its first and last words, what lies between and must
/// be there, and what of the article must not.
struct Cut {
    article: &'static str,
    /// The patient, from 0, and how many the article has.
    patient: (usize, usize),
    begins: &'static str,
    ends: &'static str,
    holds: &'static [&'static str],
    lacks: &'static [&'static str],
}

/// Ten articles read from beginning to end, every patient of them, before their texts were looked at; then some more
/// whose shapes are their own.
const CUTS: [Cut; 20] = [
    Cut {
        article: "PMC6092541",
        patient: (0, 1),
        begins: "A 54-year old female presented with complaints of painful swelling",
        ends: "At one year post-operative follow-up, there was no recurrence of shoulder swelling, with excellent range of motion.",
        holds: &["without calcification. Ultrasound suggested", "All rice bodies were removed"],
        lacks: &["neglected over a period of five years", "first described in tuberculosis joints", "Fig."],
    },
    Cut {
        article: "PMC6161313",
        patient: (0, 1),
        begins: "An 82-year-old female with a previous medical history (PMH) of type 2 diabetes mellitus",
        ends: "Miliary lesions were not found in the necropsic study of the central nervous system.",
        holds: &["the patient died five days later", "several acid-fast bacilli"],
        lacks: &["results from a massive", "This case highlights"],
    },
    Cut {
        article: "PMC6352283",
        patient: (0, 1),
        begins: "A 28-year-old woman, affected by stage-4 CKD, was referred",
        ends: "the protein intake was regularly assessed by the dietician, who controlled the patient at least monthly.",
        holds: &["A healthy female baby", "The patient reported that she had followed", "Ketosteril was not tolerated"],
        lacks: &["hotly debated", "Our patient\u{2019}s history is interesting"],
    },
    Cut {
        article: "PMC8020902",
        patient: (0, 2),
        begins: "A 66-year-old Chinese male presented to a hospital in February 2020",
        ends: "while the peritumoral brain edema had reduced significantly.",
        holds: &["In May 2020, he complained of headaches"],
        lacks: &["A 32-year-old female", "Compared to other anti-angiogenic agents"],
    },
    Cut {
        article: "PMC8020902",
        patient: (1, 2),
        begins: "A 32-year-old female with headache of two months",
        ends: "while the peritumoral edema has shrunk significantly.",
        holds: &["In January 2020, MRI of the brain revealed a single new metastatic lesion"],
        lacks: &["Chinese male", "plays a key role"],
    },
    Cut {
        article: "PMC8173211",
        patient: (0, 1),
        begins: "A 41-year-old woman with recurrent, infected, ulcerated colonic adenocarcinoma",
        ends: "The umbilicus has been pulled laterally into the right iliac fossa.",
        holds: &["Formal dressing changes and staged closure", "At 6 weeks follow up, a central discharging seroma"],
        lacks: &["reduces shear stress by means of", "In this patient, simplifying primary wound closure"],
    },
    Cut {
        article: "PMC8176117",
        patient: (0, 2),
        begins: "A 69-year-old Chinese man with a 30-pack year smoking history",
        ends: "The patient died of respiratory failure, severe anemia, and severe thrombocytopenia.",
        holds: &["He received sintilimab"],
        lacks: &["A 71-year-old man"],
    },
    Cut {
        article: "PMC8176117",
        patient: (1, 2),
        begins: "A 71-year-old man presented with productive cough.",
        ends: "Finally, he died of the primary disease during the fourth month of follow-up.",
        holds: &["he refused docetaxel therapy"],
        lacks: &["Detailed clinicopathological characteristics", "no consensus"],
    },
    Cut {
        article: "PMC8185063",
        patient: (0, 3),
        begins: "A 2-month-old female patient was referred to our hospital",
        ends: "on postoperative day (POD) 4, the patient was discharged from the hospital uneventfully.",
        holds: &["A volvulus of fibrous tissue"],
        lacks: &["5-year-old", "Our first patient"],
    },
    Cut {
        article: "PMC8185063",
        patient: (1, 3),
        begins: "A 5-year-old male patient was brought to our hospital",
        ends: "was discharged from the hospital at POD7 uneventfully.",
        holds: &["a perforated MD and an inflamed appendix"],
        lacks: &["2-month-old", "17-month-old"],
    },
    Cut {
        article: "PMC8185063",
        patient: (2, 3),
        begins: "A 17-month-old female was referred to us because of severe iron-deficiency anemia.",
        ends: "with the hemoglobin level of 8.2 g/dL at the last follow-up (~15 months after surgery).",
        holds: &["found a large MD with a diameter of ~7 cm. Segmental"],
        lacks: &["In this study, we reported"],
    },
    Cut {
        article: "PMC8192969",
        patient: (0, 1),
        begins: "A female infant was admitted to our hospital due to a cyst on the right side of the neck.",
        ends: "the patient did not show any clinical signs of abnormalities during the 4-month follow-up period.",
        holds: &["At 40 weeks of pregnancy, a cesarean section", "Physical examinations revealed a soft neck"],
        lacks: &["This case study illustrates"],
    },
    Cut {
        article: "PMC5936760",
        patient: (0, 1),
        begins: "The patient is a 34-year-old woman, body mass index 18",
        ends: "hypersensitivity to odors and noise, dysmenorrhea, and memory lapses are still present.",
        holds: &[
            "14/18",
            "diet includes eggs, meat, fish",
            "The patient broke the dietary protocol",
            "is still on diet",
        ],
        lacks: &[
            "devised to facilitate Trp absorption",
            "Recognizing those symptoms",
            "a real burden in everyday life",
        ],
    },
    Cut {
        article: "PMC8160441",
        patient: (0, 1),
        begins: "A 76-year-old Chinese man complained of acutely worsening abdominal pain",
        ends: "The patient was discharged from hospital 2 weeks later.",
        holds: &["Naranjo probability score of 8", "Tranexamic acid", "no family history"],
        lacks: &["has become the preferred agent", "a rare complication under anticoagulant therapy"],
    },
    Cut {
        article: "PMC8116530",
        patient: (0, 2),
        begins: "Case 1 was a 59-year-old male with a history of rhabodomyolysis.",
        ends: "significant changes before and after treatment with ninjin'yoeito.",
        holds: &["walking distance from 383 to 440 m", "based on the guidelines. He was treated"],
        lacks: &["167.5 cm", "shown in Table 1", "(3, 4)"],
    },
    Cut {
        article: "PMC8116530",
        patient: (1, 2),
        begins: "Case 2, a 59-year-old male was referred to our hospital for respiratory failure",
        ends: "significant changes before and after treatment with ninjin'yoeito.",
        holds: &["based on the guidelines.\n\nHis height was 167.5 cm", "from 360 to 300 m"],
        lacks: &["155.5 cm", "shown in Table 2"],
    },
    Cut {
        article: "PMC8177695",
        patient: (0, 1),
        begins: "A 54-year-old nulligravida female had a 10-year history",
        ends: "no clinical or radiological evidence of tumor recurrence and she was able to ambulate independently.",
        holds: &["positioned in supine", "discharged from the acute surgical ward"],
        lacks: &["The patient consented to the production", "See Figure 1", "Over many years I sought treatment"],
    },
    Cut {
        article: "PMC8183679",
        patient: (0, 1),
        begins: "On October 20, 2020, a 61-years-old male patient from Henan province",
        ends: "CT scan showed the disappearance of purulent secretion. He made a great recovery.",
        holds: &["tacrolimus was discontinued"],
        lacks: &["timeline", "common type species"],
    },
    Cut {
        article: "PMC8131528",
        patient: (0, 1),
        begins: "A 36-year-old woman was admitted to our hospital on March 3, 2020",
        ends: "after following up about a year later, there were no complications or adverse events.",
        holds: &["tricuspid valve replacement"],
        lacks: &["treatment process", "There was still room to improve"],
    },
    Cut {
        article: "PMC8023327",
        patient: (0, 1),
        begins: "A 92-year-old male, claimed left forearm swelling for 5 months",
        ends: "died of respiratory failure.",
        holds: &["rosuvastatin 10 mg/ezetimibe 10 mg"],
        lacks: &["informed consent", "shared some clinical features", "shown in Figure 4"],
    },
];

#[test]
fn case_texts_begin_and_end_where_a_person_would_cut() {
    let Some(folder) = shared("case-reports") else { return };
    let found = outcomes(&folder, &OPEN);
    for Cut { article, patient: (patient, patients), begins, ends, holds, lacks } in CUTS {
        let reports = &found.admitted[article];
        assert_eq!(reports.len(), patients, "{article}");
        let text = &reports[patient].report;
        assert!(text.starts_with(begins), "{article} {patient}: {}", &text[..begins.len() + 40]);
        let tail: Vec<char> = text.chars().rev().take(ends.len() + 40).collect();
        assert!(text.ends_with(ends), "{article} {patient}: .. {}", tail.into_iter().rev().collect::<String>());
        for words in holds {
            assert!(text.contains(words), "{article} {patient} lacks {words:?}:\n{text}");
        }
        for words in lacks {
            assert!(!text.contains(words), "{article} {patient} holds {words:?}:\n{text}");
        }
    }
}

#[test]
fn articles_to_be_refused_are_refused_for_their_reason() {
    let Some(folder) = shared("reject") else { return };
    let found = outcomes(&folder, &OPEN);
    assert!(found.admitted.is_empty());
    assert_eq!(found.dropped["PMC6358576"], Reason::LicenceNotAdmitted);
    assert_eq!(found.dropped["PMC6358577"], Reason::LicenceNotAdmitted);
    assert_eq!(found.dropped["PMC13261293"], Reason::NotHuman);
    let rest: Vec<Reason> =
        found.dropped.iter().filter(|(id, _)| id.starts_with('X')).map(|(_, reason)| *reason).collect();
    assert_eq!(rest, [Reason::NoBody]);
}

#[test]
fn licence_traps_in_minimal_articles_are_refused_for_their_licence() {
    let Some(folder) = shared("case-reports") else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let mut traps = csv::Reader::from_path(folder.join("licence-traps.csv")).expect("the traps are there");
    let mut expected = BTreeMap::new();
    for row in traps.deserialize::<BTreeMap<String, String>>() {
        let row = row.expect("a row");
        let href = if row["license_urls"].is_empty() {
            String::new()
        } else {
            format!(" xlink:href=\"{}\"", row["license_urls"])
        };
        let xml = format!(
            "<article xmlns:xlink=\"x\" article-type=\"case-report\"><front><article-meta>\
             <article-id pub-id-type=\"pmc\">{}</article-id><title-group><article-title>{}</article-title></title-group>\
             <permissions><license license-type=\"{}\"{href}><license-p>{}</license-p></license></permissions></article-meta></front>\
             <body><sec><title>Case report</title><p>A 45-year-old man was admitted with fever. {}</p></sec></body></article>",
            row["pmcid"],
            escape(&row["title"]),
            escape(&row["license_type_attr"]),
            escape(&row["license_text"]),
            "He was treated and the fever went away in a week. ".repeat(20),
        );
        fs_err::write(directory.path().join(format!("{}.xml", row["pmcid"])), xml).expect("writable");
        let conflict = row["pmcid"] == "PMC5728008";
        expected
            .insert(row["pmcid"].clone(), if conflict { Reason::LicenceConflict } else { Reason::LicenceNotAdmitted });
    }
    assert_eq!(outcomes(directory.path(), &OPEN).dropped, expected);
}

#[test]
fn reports_written_for_this_project_come_out_as_their_readme_says() {
    let folder = root().join("data/case-reports");
    if !folder.exists() {
        return;
    }
    let found = outcomes(&folder, &OPEN);
    let readme = fs_err::read_to_string(folder.join("README.md")).expect("the folder has a readme");
    let mut listed = 0;
    for line in readme.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches('`');
        let id = name.trim_end_matches(".xml");
        listed += 1;
        let reports = found.admitted.values().find(|reports| reports[0].source == name);
        match cells.get(2).and_then(|cell| cell.split(':').next()?.parse::<usize>().ok()) {
            Some(patients) => {
                let reports = reports.unwrap_or_else(|| panic!("{name}: {:?}", found.dropped.get(id)));
                assert_eq!(reports.len(), patients, "{name}");
                for report in reports {
                    is_clean(report);
                    assert!(report.age.is_some() && report.sex != Sex::Unknown, "{}", report.report_id);
                }
            }
            None => assert!(reports.is_none() && found.dropped.contains_key(id), "{name}"),
        }
    }
    assert_eq!(listed, found.admitted.len() + found.dropped.len());
}

/// Rows whose age column says something else than their text does, by reading them: of "10-year-8-month-old" it keeps
/// the months, of a newborn it takes a parent's age, of "four-and-one-half" it makes 5.5.
const COLUMN_CONTRADICTS_TEXT: [&str; 10] = [
    "PMC6003790.1-2",
    "PMC6003790.1-3",
    "PMC6003790.1-4",
    "PMC6003790.1-5",
    "PMC6003790.1-6",
    "PMC6003790.1-7",
    "PMC6003790.1-8",
    "PMC6005277.1-2",
    "PMC8686371.1-1",
    "PMC8698877.1-1",
];

#[test]
fn ages_and_sexes_agree_with_those_of_pmc_patients() {
    let Some(folder) = shared("pmc-patients") else { return };
    let config = CorpusConfig {
        inputs: vec![folder.join("PMC-Patients-sample.csv")],
        licences: vec![Licence::CcByNcSa],
        min_words: 1,
        near_duplicate: 0.0,
        ..CorpusConfig::default()
    };
    let (mut rows, mut agree, mut fair, mut wrong) = (0, 0, 0, Vec::new());
    let mut take = |outcome| {
        let Outcome::Admitted { reports, .. } = outcome else { return Ok(()) };
        for report in reports {
            rows += 1;
            let (age, sex) = (demographics::age(&report.report), demographics::sex(&report.report));
            let same = age == report.age && sex == report.sex;
            agree += usize::from(same);
            fair += usize::from(same || COLUMN_CONTRADICTS_TEXT.contains(&report.report_id.as_str()));
            if !same {
                wrong.push(format!("{} {:?} {:?}, read {age:?} {sex:?}", report.report_id, report.age, report.sex));
            }
        }
        Ok(())
    };
    ingest(&config, &mut take, &|_, _| ()).expect("readable");
    #[expect(clippy::print_stderr, reason = "rows that differ are looked at one by one")]
    {
        eprintln!("{agree} of {rows} agree, {fair} where the column is not wrong itself\n{}", wrong.join("\n"));
    }
    assert!(rows >= 497, "{rows}");
    // Age and sex of a row together. The raw share cannot reach 98 % without repeating the column's own mistakes.
    assert!(agree * 1000 >= rows * 975 && fair * 1000 >= rows * 995, "{agree}, {fair} of {rows}\n{}", wrong.join("\n"));
}
