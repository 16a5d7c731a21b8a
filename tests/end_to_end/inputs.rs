//! Every shape articles come in, through the real binary: what was admitted, what not and why, and that all add up.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::jats::{article, write};
use crate::support::{Ended, Workspace, dropped, manifest, quoted, reports_in};

/// Reads `input`, which is to end so.
#[track_caller]
fn ingest(workspace: &Workspace, input: &Path, code: i32) -> Ended {
    workspace.command("ingest").set("corpus.inputs", format!("[{}]", quoted(input))).ends(code)
}

/// Reads `input` and holds the outcome, and the counts, to what was expected.
#[track_caller]
fn reads(workspace: &Workspace, input: &Path, admitted: &[&str], gone: &[(&str, &str)]) {
    ingest(workspace, input, 0);
    holds(workspace, admitted, gone);
}

#[track_caller]
fn holds(workspace: &Workspace, admitted: &[&str], gone: &[(&str, &str)]) {
    assert_eq!(reports_in(workspace), admitted);
    let corpus = workspace.stage("corpus");
    let listed = dropped(&corpus);
    let listed: Vec<(&str, &str)> = listed.iter().map(|(id, reason)| (id.as_str(), reason.as_str())).collect();
    assert_eq!(listed, gone);
    let manifest = manifest(&corpus);
    let count = |unit: &serde_json::Value, key: &str| unit[key].as_u64().expect("a count");
    let counts = &manifest["counts"];
    assert_eq!(count(counts, "in"), count(counts, "out") + gone.len() as u64, "{counts}");
    assert_eq!(count(&manifest["also"]["patient"], "out"), admitted.len() as u64, "{manifest}");
    for reason in counts["dropped"].as_object().expect("by reason").keys() {
        let of = gone.iter().filter(|(_, why)| why == reason).count();
        assert_eq!(count(&counts["dropped"], reason), of as u64, "{counts}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("in memory")
}

/// A `.tar.gz` with these members.
fn archive<'a>(members: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes.as_slice()).expect("in memory");
    }
    archive.into_inner().and_then(GzEncoder::finish).expect("in memory")
}

#[test]
fn a_folder_is_read_with_everything_below_it_and_what_is_no_article_is_left() {
    let workspace = Workspace::new();
    let folder = workspace.path().join("in");
    write(&folder, "PMC801.xml", article("PMC801").xml());
    write(&folder, "deep/er/PMC802.nxml", article("PMC802").xml());
    write(&folder, "PMC803.nxml.gz", gzip(article("PMC803").xml().as_bytes()));
    write(&folder, "PMC804.XML", article("PMC804").xml());
    write(&folder, "PMC805.txt", "no article");
    write(&folder, "table.csv", "a,b\n1,2\n");
    reads(&workspace, &folder, &["PMC801.1-1", "PMC803.1-1", "PMC804.1-1", "PMC802.1-1"], &[]);
}

#[test]
fn a_glob_reads_what_it_matches_and_a_set_gives_each_of_its_articles() {
    let workspace = Workspace::new();
    let folder = workspace.path().join("in");
    let set = [
        article("PMC811"),
        article("PMC812").patients(&["A 30-year-old woman", "A 7-year-old boy"]),
        article("PMC811"),
    ];
    let set: String = set.iter().map(super::support::jats::Jats::xml).collect();
    write(&folder, "dump1/PMC81.xml", format!("<?xml version=\"1.0\"?>\n<pmc-articleset>\n{set}\n</pmc-articleset>"));
    write(&folder, "dump2/PMC813.xml", article("PMC813").xml());
    write(&folder, "other/PMC814.xml", article("PMC814").xml());
    let pattern = folder.join("dump?/*.xml");
    let admitted = ["PMC811.1-1", "PMC812.1-1", "PMC812.1-2", "PMC813.1-1"];
    reads(&workspace, &pattern, &admitted, &[("PMC811", "duplicate")]);
    let nothing = folder.join("dump9/*.xml");
    ingest(&workspace, &nothing, 2).says(&["corpus.inputs", "dump9/*.xml", "matches no article file"]);
    ingest(&workspace, &folder.join("PMC[8"), 2).says(&["corpus.inputs", "PMC[8"]);
}

#[test]
fn an_archive_is_read_without_being_unpacked() {
    let workspace = Workspace::new();
    let folder = workspace.path().join("in");
    let members = [
        ("PMC000/PMC821.xml", article("PMC821").xml().into_bytes()),
        ("PMC000/figure.jpg", vec![0; 4096]),
        ("PMC000/PMC822.nxml.gz", gzip(article("PMC822").xml().as_bytes())),
        ("PMC000/PMC823.xml", article("PMC823").licence("licenses/by-nc-nd/4.0").xml().into_bytes()),
        ("PMC000/PMC824.xml", b"cut <art".to_vec()),
    ];
    write(&folder, "a.tar.gz", archive(members));
    reads(
        &workspace,
        &folder,
        &["PMC821.1-1", "PMC822.1-1"],
        &[("PMC823", "licence_not_admitted"), ("a.tar.gz/PMC000/PMC824.xml", "unreadable")],
    );
    assert_eq!(fs_err::read_dir(&folder).expect("there").count(), 1, "nothing was unpacked");
}

#[test]
fn todays_layout_is_held_against_its_metadata_and_the_preferred_version_counts() {
    let workspace = Workspace::new();
    let folder = workspace.path().join("in");
    let place = |name: &str, metadata: &str| {
        let id = name.split('.').next().expect("a PMCID");
        // Both versions of an article say the same, as they nearly do.
        let xml = article(id).xml().replace(&format!(">{id}<"), &format!(">{name}<"));
        write(&folder, &format!("{name}/{name}.xml"), xml);
        write(&folder, &format!("metadata/{name}.json"), metadata);
    };
    place("PMC831.1", r#"{"license_code": "CC BY", "is_retracted": false}"#);
    place("PMC832.1", r#"{"license_code": null, "is_retracted": null}"#);
    place("PMC833.1", r#"{"license_code": "CC BY-NC", "is_retracted": false}"#);
    place("PMC834.1", r#"{"license_code": "CC BY", "is_retracted": true}"#);
    place("PMC835.1", r#"{"license_code": "CC BY", "is_manuscript": false}"#);
    place("PMC835.2", r#"{"license_code": "CC BY", "is_manuscript": true}"#);
    place("PMC836.1", r#"{"license_code": "CC BY"}"#);
    place("PMC836.2", r#"{"license_code": "CC BY"}"#);
    place("PMC837.1", "{\"license_code\": ");
    reads(
        &workspace,
        &folder,
        &["PMC831.1-1", "PMC832.1-1", "PMC835.1-1", "PMC836.2-1"],
        &[
            ("PMC833", "licence_conflict"),
            ("PMC834", "retracted"),
            ("PMC835", "duplicate"),
            ("PMC836", "duplicate"),
            ("PMC837.1/PMC837.1.xml", "unreadable"),
        ],
    );
    // What is filed decides, so a change of it alone makes the stage anew.
    write(&folder, "metadata/PMC831.1.json", r#"{"license_code": "CC BY", "is_retracted": true}"#);
    ingest(&workspace, &folder, 0);
    assert_eq!(reports_in(&workspace), ["PMC832.1-1", "PMC835.1-1", "PMC836.2-1"]);
}

#[test]
fn an_old_dump_is_held_against_its_file_list() {
    let workspace = Workspace::new();
    let folder = workspace.path().join("in");
    let members = ["PMC841", "PMC842", "PMC843", "PMC844"].map(|id| (id, article(id).xml().into_bytes()));
    let names = members.each_ref().map(|(id, _)| format!("PMC000xxxxxx/{id}.xml"));
    let members = names.iter().map(String::as_str).zip(members.into_iter().map(|(_, bytes)| bytes));
    write(&folder, "oa_comm_xml.PMC000xxxxxx.baseline.tar.gz", archive(members));
    let list = "File,Article Citation,Accession ID,Last Updated (YYYY-MM-DD HH:MM:SS),PMID,License,Retracted\n\
                a.tar.gz,\"A; 1(2), 3\",PMC841,2020-01-01 00:00:00,1,CC BY,no\n\
                b.tar.gz,x,PMC842,2020-01-01 00:00:00,2,CC BY-NC-ND,no\n\
                c.tar.gz,x,PMC843,2020-01-01 00:00:00,3,NO-CC CODE,no\n\
                d.tar.gz,x,PMC844,2020-01-01 00:00:00,4,CC BY,yes\n";
    write(&folder, "oa_file_list.csv", list);
    let gone = [("PMC842", "licence_conflict"), ("PMC844", "retracted")];
    reads(&workspace, &folder, &["PMC841.1-1", "PMC843.1-1"], &gone);
    write(&folder, "oa_file_list.csv", "File,License\na,CC BY\n");
    ingest(&workspace, &folder, 1).says(&["oa_file_list.csv", "Accession ID"]);
}

#[test]
fn both_versions_of_pmc_patients_give_the_same_patients() {
    let case = "He was treated with amoxicillin for a week and went home without complaints. ".repeat(6);
    let other = "She fell on the stairs, and a fracture of the hip was nailed on the next morning. ".repeat(6);
    let csv = format!(
        "patient_id,patient_uid,PMID,file_path,title,patient,age,gender,relevant_articles,similar_patients\r\n\
         0,7665777-1,33492400,a.xml,Fever,\"A 60-year-old man, ill.\n{case}\",\"[[60.0, 'year']]\",M,{{}},{{}}\r\n\
         1,7665777-2,33492400,a.xml,Fever,\"A 71-year-old woman.\n{other}\",\"[[71.0, 'year']]\",F,{{}},{{}}\r\n\
         2,nonsense,1,a.xml,Fever,\"A man.\",\"[[60.0, 'year']]\",M,{{}},{{}}\r\n"
    );
    let json = format!(
        "[{{\"patient_id\": \"0\", \"patient_uid\": \"7665777-1\", \"PMID\": \"33492400\", \"title\": \"Fever\", \"patient\": \
         \"A 60-year-old man, ill.\\n{case}\", \"age\": [[60.0, \"year\"]], \"gender\": \"M\"}},\n\
         {{\"patient_id\": \"1\", \"patient_uid\": \"7665777-2\", \"PMID\": \"33492400\", \"title\": \"Fever\", \"patient\": \
         \"A 71-year-old woman.\\n{other}\", \"age\": [[71.0, \"year\"]], \"gender\": \"F\"}}, \
         {{\"patient_id\": 2, \"patient_uid\": \"nonsense\", \"PMID\": 1, \"title\": \"\", \"patient\": \"\", \"age\": [], \"gender\": null}}]"
    );
    let read = |name: &str, content: &str| {
        let workspace = Workspace::new();
        write(workspace.path(), name, content);
        let inputs = format!("[{}]", quoted(&workspace.path().join(name)));
        let command = || workspace.command("ingest").set("corpus.inputs", &inputs);
        command().ends(2).says(&[name, "corpus.licences", "CC BY-NC-SA"]);
        command().set("corpus.licences", "[\"CC BY-NC-SA\"]").ends(0);
        holds(&workspace, &["PMC7665777.1-1", "PMC7665777.1-2"], &[(&format!("{name}#3"), "unreadable")]);
        let rows = asclepius_dataset::read_reports(&workspace.stage("corpus").join("reports.parquet")).expect("opens");
        rows.map(|row| asclepius_schema::Report { source: String::new(), ..row.expect("sound") }).collect::<Vec<_>>()
    };
    assert_eq!(read("v1.csv", &csv), read("v2.json", &json));

    let workspace = Workspace::new();
    for (name, content, what) in
        [("a.csv", "a,b\n1,2\n", "patient_id"), ("b.json", "\"text\"", "PMC-Patients"), ("c.parquet", "", "c.parquet")]
    {
        write(workspace.path(), name, content);
        let inputs = format!("[{}]", quoted(&workspace.path().join(name)));
        let command = workspace.command("ingest").set("corpus.inputs", inputs);
        let ended = command.set("corpus.licences", "[\"CC BY-NC-SA\"]").run();
        assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
        ended.says(&[name, what]);
        assert!(!workspace.stage("corpus").join("manifest.json").exists());
    }
}

#[test]
fn an_input_that_is_not_there_is_refused_before_any_work() {
    let workspace = Workspace::new();
    ingest(&workspace, &workspace.path().join("absent"), 2).says(&["corpus.inputs", "absent", "does not exist"]);
    assert!(!workspace.stage("corpus").exists());
}
