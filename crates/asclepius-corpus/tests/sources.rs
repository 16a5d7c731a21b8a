//! Every place articles come from: today's layout with its metadata, old dumps, globs, PMC-Patients' two versions.

use std::io::Write;
use std::path::Path;

use asclepius_corpus::{CorpusConfig, CorpusError, Outcome, ingest, sources};
use asclepius_schema::{AgeUnit, Licence, Reason};
use flate2::Compression;
use flate2::write::GzEncoder;

/// An article whose case names `drug`, so that no two are alike.
fn article(id: &str, drug: &str) -> String {
    format!(
        "<article xmlns:xlink=\"x\" article-type=\"case-report\"><front><article-meta>\
         <article-id pub-id-type=\"pmcid\">{id}</article-id><article-id pub-id-type=\"doi\">10.5555/{id}.{drug}</article-id>\
         <title-group><article-title>Fever after {drug}</article-title></title-group>\
         <permissions><license xlink:href=\"https://creativecommons.org/licenses/by/4.0/\"/></permissions></article-meta></front>\
         <body><sec><title>Case report</title><p>A 45-year-old man was admitted with fever. {}</p></sec></body></article>",
        (1..25)
            .map(|day| format!("On day {day} he took {drug} {day} times and {drug}{day} rose. "))
            .collect::<Vec<_>>()
            .concat()
    )
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs_err::create_dir_all(path.parent().expect("below a folder")).expect("writable");
    fs_err::write(path, content).expect("writable");
}

fn config(input: impl AsRef<Path>) -> CorpusConfig {
    CorpusConfig { inputs: vec![input.as_ref().to_owned()], ..CorpusConfig::default() }
}

fn run(config: &CorpusConfig) -> Vec<(String, Option<Reason>)> {
    let mut all = Vec::new();
    let mut take = |outcome| {
        all.push(match outcome {
            Outcome::Admitted { reports, .. } => (reports[0].report_id.to_string(), None),
            Outcome::Dropped(dropped) | Outcome::PartDropped(dropped) => (dropped.id, Some(dropped.reason)),
        });
        Ok(())
    };
    ingest(config, &mut take, &|_, _| ()).expect("readable");
    all
}

fn of(found: &[(String, Option<Reason>)]) -> Vec<(&str, Option<Reason>)> {
    found.iter().map(|(id, reason)| (id.as_str(), *reason)).collect()
}

#[test]
fn todays_layout_brings_its_metadata_and_the_preferred_version_wins() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let at = folder.path();
    let place = |id: &str, version: u32, drug: &str, metadata: &str| {
        let stem = format!("PMC{id}.{version}");
        let xml = article(&stem, drug);
        write(at, &format!("{stem}/{stem}.xml"), xml);
        if !metadata.is_empty() {
            write(at, &format!("metadata/{stem}.json"), metadata);
        }
    };
    place("101", 1, "aspirin", r#"{"license_code": "CC BY", "is_retracted": false}"#);
    place("102", 1, "borax", r#"{"license_code": null, "is_retracted": null}"#);
    place("103", 1, "codeine", r#"{"license_code": "CC BY-NC", "is_retracted": false}"#);
    place("104", 1, "digoxin", r#"{"license_code": "CC BY", "is_retracted": true}"#);
    place("105", 1, "ether", r#"{"license_code": "CC BY", "is_manuscript": false}"#);
    place("105", 2, "ether", r#"{"license_code": "CC BY", "is_manuscript": true}"#);
    place("106", 1, "folate", r#"{"license_code": "CC BY"}"#);
    place("106", 2, "folate", r#"{"license_code": "CC BY"}"#);
    place("107", 1, "gentian", "{\"license_code\": ");
    place("108", 1, "henna", r#"{"license_code": "TDM"}"#);
    assert_eq!(
        of(&run(&config(at))),
        [
            ("PMC101.1-1", None),
            ("PMC102.1-1", None),
            ("PMC103", Some(Reason::LicenceConflict)),
            ("PMC104", Some(Reason::Retracted)),
            ("PMC105.1-1", None),
            ("PMC105", Some(Reason::Duplicate)),
            ("PMC106.2-1", None),
            ("PMC106", Some(Reason::Duplicate)),
            ("PMC107.1/PMC107.1.xml", Some(Reason::Unreadable)),
            ("PMC108", Some(Reason::LicenceConflict)),
        ]
    );
}

#[test]
fn an_old_dump_is_held_against_its_file_list() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (id, drug) in [("PMC201", "aspirin"), ("PMC202", "borax"), ("PMC203", "codeine"), ("PMC204", "digoxin")] {
        let bytes = article(id, drug).into_bytes();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("PMC000/{id}.xml"), bytes.as_slice()).expect("in memory");
    }
    let bytes = archive.into_inner().and_then(GzEncoder::finish).expect("in memory");
    write(folder.path(), "oa_comm_xml.PMC000xxxxxx.tar.gz", bytes);
    let list = "File,Article Citation,Accession ID,Last Updated,PMID,License,Retracted\n\
                a.tar.gz,x,PMC201,2020-01-01,1,CC BY,no\na.tar.gz,x,PMC202,2020-01-01,2,CC BY-NC-ND,no\n\
                a.tar.gz,x,PMC203,2020-01-01,3,NO-CC CODE,no\na.tar.gz,x,PMC204,2020-01-01,4,CC BY,yes\n";
    write(folder.path(), "oa_file_list.csv", list);
    let outcome = [
        ("PMC201.1-1", None),
        ("PMC202", Some(Reason::LicenceConflict)),
        ("PMC203.1-1", None),
        ("PMC204", Some(Reason::Retracted)),
    ];
    assert_eq!(of(&run(&config(folder.path()))), outcome);
    assert_eq!(of(&run(&config(folder.path().join("oa_comm_xml.PMC000xxxxxx.tar.gz")))), outcome);

    write(folder.path(), "oa_file_list.csv", "a,b\n1,2\n");
    let mut none = |_| Ok(());
    let error = ingest(&config(folder.path()), &mut none, &|_, _| ()).expect_err("no such columns");
    assert!(error.to_string().contains("oa_file_list.csv") && error.to_string().contains("Accession ID"), "{error}");
}

#[test]
fn a_glob_reads_what_it_matches_and_says_when_that_is_nothing() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    for (id, drug) in [("PMC301", "aspirin"), ("PMC302", "borax"), ("PMC413", "codeine")] {
        write(folder.path(), &format!("{id}.xml"), article(id, drug));
    }
    write(folder.path(), "PMC303.txt", "no article");
    assert_eq!(of(&run(&config(folder.path().join("PMC3*")))), [("PMC301.1-1", None), ("PMC302.1-1", None)]);
    let error = sources(&config(folder.path().join("PMC9*"))).expect_err("matches nothing");
    assert!(matches!(error, CorpusError::Glob { .. }) && error.to_string().contains("PMC9*"), "{error}");
    let error = sources(&config(folder.path().join("PMC[9"))).expect_err("no pattern");
    assert!(error.to_string().contains("PMC[9"), "{error}");
}

#[test]
fn both_versions_of_pmc_patients_give_the_same_patients() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let case = "He was treated with amoxicillin for a week and went home without complaints. ".repeat(6);
    let csv = format!(
        "patient_id,patient_uid,PMID,file_path,title,patient,age,gender,relevant_articles,similar_patients\r\n\
         0,7665777-1,33492400,a.xml,Fever,\"A 60-year-old man, ill.\n{case}\",\"[[60.0, 'year']]\",M,{{}},{{}}\r\n"
    );
    let json = format!(
        "\u{feff}[{{\"patient_id\": \"0\", \"patient_uid\": \"7665777-1\", \"PMID\": \"33492400\", \"file_path\": \"a.xml\", \"title\": \"Fever\", \
         \"patient\": \"A 60-year-old man, ill.\\n{case}\", \"age\": [[60.0, \"year\"]], \"gender\": \"M\", \"relevant_articles\": {{}}}},\n\
         {{\"patient_id\": 1, \"patient_uid\": \"nonsense\", \"PMID\": 5, \"title\": \"\", \"patient\": \"\", \"age\": [], \"gender\": null}}, 7, "
    );
    write(folder.path(), "v1.csv", csv);
    write(folder.path(), "v2.json", json);
    let read = |name: &str| {
        let config = CorpusConfig { licences: vec![Licence::CcByNcSa], ..config(folder.path().join(name)) };
        let (mut reports, mut dropped) = (Vec::new(), Vec::new());
        let mut take = |outcome| {
            match outcome {
                Outcome::Admitted { reports: more, .. } => reports.extend(more),
                Outcome::Dropped(row) | Outcome::PartDropped(row) => dropped.push((row.id, row.reason)),
            }
            Ok(())
        };
        ingest(&config, &mut take, &|_, _| ()).expect("readable");
        (reports, dropped)
    };
    let ((one, none), (two, bad)) = (read("v1.csv"), read("v2.json"));
    assert!(none.is_empty());
    assert_eq!(bad, [2, 3, 4].map(|row| (format!("v2.json#{row}"), Reason::Unreadable)));
    assert_eq!((one.len(), two.len()), (1, 1));
    assert_eq!(two[0].source, "v2.json");
    assert_eq!(one[0], asclepius_schema::Report { source: "v1.csv".to_owned(), ..two[0].clone() });
    assert_eq!(one[0].age.map(|age| (age.value, age.unit)), Some((60.0, AgeUnit::Year)));

    for (name, content, what) in
        [("a.json", "\"text\"", "neither"), ("b.json", "", "neither"), ("c.csv", "a,b\n1,2\n", "patient_id")]
    {
        write(folder.path(), name, content);
        let config = CorpusConfig { licences: vec![Licence::CcByNcSa], ..config(folder.path().join(name)) };
        let error = ingest(&config, &mut |_| Ok(()), &|_, _| ()).expect_err("no table");
        assert!(error.to_string().contains(what) && error.to_string().contains(name), "{error}");
        let refused = sources(&CorpusConfig { licences: vec![Licence::CcBy], ..config }).expect_err("not admitted");
        assert!(
            refused.to_string().contains("corpus.licences") && refused.to_string().contains("CC BY-NC-SA"),
            "{refused}"
        );
    }
}

#[test]
fn what_is_nearly_known_or_in_an_evaluation_set_stays_out() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    write(folder.path(), "in/PMC501.xml", article("PMC501", "aspirin"));
    write(folder.path(), "in/PMC502.xml", article("PMC502", "aspirin").replace("On day 7 he", "On the seventh day he"));
    write(folder.path(), "in/PMC503.xml", article("PMC503", "borax"));
    write(folder.path(), "in/PMC504.xml", article("PMC504", "codeine"));
    write(folder.path(), "in/PMC505.xml", article("PMC505", "digoxin"));
    let text = (1..25)
        .map(|day| format!("On day {day} he took digoxin {day} times and digoxin{day} rose. "))
        .collect::<Vec<_>>()
        .concat();
    write(
        folder.path(),
        "eval.jsonl",
        format!("{{\"id\": \"PMC503\"}}\n{{\"note\": \"A 45-year-old man was admitted with fever. {text}\"}}\n"),
    );
    write(folder.path(), "eval.txt", "see 10.5555/PMC504.codeine.\n");
    let with = CorpusConfig {
        evaluation_sets: ["eval.jsonl", "eval.txt"].map(|name| folder.path().join(name)).to_vec(),
        ..config(folder.path().join("in"))
    };
    assert_eq!(
        of(&run(&with)),
        [
            ("PMC501.1-1", None),
            ("PMC502", Some(Reason::NearDuplicate)),
            ("PMC503", Some(Reason::Contaminated)),
            ("PMC504", Some(Reason::Contaminated)),
            ("PMC505", Some(Reason::Contaminated)),
        ]
    );
    let off = CorpusConfig { near_duplicate: 0.0, ..config(folder.path().join("in")) };
    assert!(run(&off).iter().all(|(_, reason)| reason.is_none()));
    let absent = CorpusConfig { evaluation_sets: vec!["absent.csv".into()], ..off };
    let error = ingest(&absent, &mut |_| Ok(()), &|_, _| ()).expect_err("no such file");
    assert!(
        error.to_string().contains("corpus.evaluation_sets") && error.to_string().contains("absent.csv"),
        "{error}"
    );
}

#[test]
fn hostile_members_and_bombs_are_errors_of_their_own_and_the_run_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut add = |name: &str, kind: tar::EntryType, bytes: &[u8]| {
        let mut header = tar::Header::new_old();
        // The library's own setter refuses such names; an attacker's does not.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        if kind.is_symlink() {
            header.set_link_name("target").expect("a name");
        }
        header.set_cksum();
        archive.append(&header, bytes).expect("in memory");
    };
    let regular = tar::EntryType::Regular;
    add("../../PMC601.xml", regular, article("PMC601", "aspirin").as_bytes());
    add("/etc/PMC602.xml", regular, article("PMC602", "borax").as_bytes());
    add("PMC603.xml", tar::EntryType::Symlink, b"");
    add("PMC604.xml", tar::EntryType::Link, b"");
    let bomb =
        format!("<!DOCTYPE a [<!ENTITY a \"{}\">]><article><front><p>{}</p>", "ha".repeat(500), "&a;".repeat(5000));
    add("PMC605.xml", regular, bomb.as_bytes());
    let laughs = "<!DOCTYPE a [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\"><!ENTITY c SYSTEM \"file:///etc/passwd\">]>";
    add(
        "PMC606.xml",
        regular,
        article("PMC606", "codeine")
            .replace("<article ", &format!("{laughs}<article "))
            .replace("took", "took &b;&c;")
            .as_bytes(),
    );
    add("PMC607.xml", regular, format!("<article>{}", "<p>".repeat(100_000)).as_bytes());
    let utf16: Vec<u8> =
        "\u{feff}".encode_utf16().chain(article("PMC608", "d").encode_utf16()).flat_map(u16::to_le_bytes).collect();
    add("PMC608.xml", regular, &utf16);
    add(
        "PMC609.xml",
        regular,
        article("PMC609", "caf\u{e9}").chars().map(|letter| letter as u8).collect::<Vec<_>>().as_slice(),
    );
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(b"<article><front a=\"").expect("in memory");
    for _ in 0..64 {
        packed.write_all(&vec![b'x'; 1 << 20]).expect("in memory");
    }
    packed.write_all(format!("\"/></article>{}", article("PMC611", "ether")).as_bytes()).expect("in memory");
    add("PMC610.xml.gz", regular, &packed.finish().expect("in memory"));
    add("PMC612.xml.gz", regular, b"no gzip");
    add("PMC613.xml", regular, article("PMC613", "folate").as_bytes());
    let bytes = archive.into_inner().and_then(GzEncoder::finish).expect("in memory");
    write(folder.path(), "a.tar.gz", bytes);
    let bad = |name: &'static str| (name, Some(Reason::Unreadable));
    assert_eq!(
        of(&run(&config(folder.path()))),
        [
            bad("a.tar.gz/../../PMC601.xml"),
            bad("a.tar.gz//etc/PMC602.xml"),
            bad("a.tar.gz/PMC603.xml"),
            bad("a.tar.gz/PMC604.xml"),
            bad("a.tar.gz/PMC605.xml"),
            ("PMC606.1-1", None),
            bad("a.tar.gz/PMC607.xml"),
            ("PMC608.1-1", None),
            bad("a.tar.gz/PMC609.xml"),
            bad("a.tar.gz/PMC610.xml.gz"),
            ("PMC611.1-1", None),
            bad("a.tar.gz/PMC612.xml.gz"),
            ("PMC613.1-1", None),
        ]
    );
}
