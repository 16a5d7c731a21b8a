//! Articles made to do harm, through the real binary: each is an error of its own, counted by its reason; the others are
//! read, and nothing is written anywhere but in the run's directory.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::jats::{article, write};
use crate::support::{Workspace, dropped, manifest, quoted, reports_in, snapshot};

/// A member as an attacker writes it: the library's own setters refuse such names.
fn member(archive: &mut tar::Builder<impl Write>, name: &str, kind: tar::EntryType, target: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_old();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o777);
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    archive.append(&header, bytes).expect("in memory");
}

/// An article with an attribute of this many MiB, followed by a sound one, gzipped.
fn with_attribute(mebibytes: usize, next: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(b"<article><front a=\"").expect("in memory");
    for _ in 0..mebibytes {
        packed.write_all(&vec![b'x'; 1 << 20]).expect("in memory");
    }
    packed.write_all(format!("\"/></article>{next}").as_bytes()).expect("in memory");
    packed.finish().expect("in memory")
}

/// Reads the folder and holds that nothing but the run's directory changed.
#[track_caller]
fn ingest(workspace: &Workspace, folder: &Path) -> (Vec<String>, Vec<(String, String)>) {
    let outside = |workspace: &Workspace| -> BTreeSet<PathBuf> {
        snapshot(workspace.path()).into_keys().filter(|path| !path.starts_with("runs")).collect()
    };
    let before = outside(workspace);
    workspace.command("ingest").set("corpus.inputs", format!("[{}]", quoted(folder))).ends(0);
    assert_eq!(outside(workspace), before);
    let counts = manifest(&workspace.stage("corpus"))["counts"].clone();
    let gone = dropped(&workspace.stage("corpus"));
    assert_eq!(counts["dropped"]["unreadable"], gone.len(), "{counts}");
    (reports_in(workspace), gone)
}

#[test]
fn names_that_lead_out_and_links_are_refused_and_nothing_is_written_outside() {
    let workspace = Workspace::new();
    let folder = workspace.path().join("deep/in");
    let secret = workspace.path().join("secret.xml");
    fs_err::write(&secret, article("PMC900").xml()).expect("writable");
    let secret = secret.to_str().expect("UTF-8");
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let file = tar::EntryType::Regular;
    let text = |id: &str| article(id).xml().into_bytes();
    member(&mut archive, "../../PMC901.xml", file, "", &text("PMC901"));
    member(&mut archive, "/tmp/PMC902.xml", file, "", &text("PMC902"));
    member(&mut archive, "a/../../PMC903.xml", file, "", &text("PMC903"));
    member(&mut archive, "PMC904.xml", tar::EntryType::Symlink, secret, b"");
    member(&mut archive, "PMC905.xml", tar::EntryType::Link, secret, b"");
    // A folder that is a link, and a file behind it.
    member(&mut archive, "out", tar::EntryType::Symlink, "../..", b"");
    member(&mut archive, "out/PMC906.xml", file, "", &text("PMC906"));
    member(&mut archive, "PMC907.xml", tar::EntryType::Fifo, "", b"");
    member(&mut archive, "PMC908.xml", tar::EntryType::Block, "", b"");
    member(&mut archive, "PMC909.xml", file, "", &text("PMC909"));
    write(&folder, "a.tar.gz", archive.into_inner().and_then(GzEncoder::finish).expect("in memory"));
    let (admitted, gone) = ingest(&workspace, &folder);
    // What lies behind the link is read from the archive as any other member: there is no folder, so no link to follow.
    assert_eq!(admitted, ["PMC906.1-1", "PMC909.1-1"]);
    let bad = ["../../PMC901", "/tmp/PMC902", "a/../../PMC903", "PMC904", "PMC905", "PMC907", "PMC908"];
    assert_eq!(
        gone.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(),
        bad.map(|name| format!("a.tar.gz/{name}.xml"))
    );
    assert!(!Path::new("/tmp/PMC902.xml").exists());
}

#[test]
fn bombs_depth_size_and_wrong_encodings_are_errors_of_one_article() {
    let workspace = Workspace::new();
    let folder = workspace.path().join("in");
    let laughs: Vec<String> = (b'b'..=b'j')
        .map(|letter| {
            let before = format!("&{};", char::from(letter - 1));
            format!("<!ENTITY {} \"{}\">", char::from(letter), before.repeat(10))
        })
        .collect();
    let bomb = format!("<!DOCTYPE article [<!ENTITY a \"ha\">{}]>", laughs.concat());
    let with = |id: &str, doctype: &str, text: &str| {
        format!("{doctype}{}", article(id).xml().replace("was admitted", &format!("was admitted {text}")))
    };
    let outside =
        "<!DOCTYPE article [<!ENTITY f SYSTEM \"file:///etc/passwd\"><!ENTITY g SYSTEM \"http://127.0.0.1:9/x\">]>";
    let sound = article("PMC917").xml();
    let utf16: Vec<u8> =
        "\u{feff}".encode_utf16().chain(article("PMC918").xml().encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let quadratic = format!("<!DOCTYPE article [<!ENTITY a \"{}\">]>", "ha".repeat(500));
    let files: [(&str, Vec<u8>); 11] = [
        ("PMC910.xml", with("PMC910", &quadratic, &"&a;".repeat(5000)).into_bytes()),
        ("PMC911.xml", with("PMC911", &bomb, "&j;").into_bytes()),
        (
            "PMC912.xml",
            with("PMC912", "<!DOCTYPE article [<!ENTITY a \"&b;\"><!ENTITY b \"&a;\">]>", "&a;").into_bytes(),
        ),
        ("PMC913.xml", with("PMC913", outside, "&f;&g;").into_bytes()),
        ("PMC914.xml", format!("<article>{}", "<sec>".repeat(200_000)).into_bytes()),
        ("PMC915.xml.gz", with_attribute(64, "")),
        ("PMC916.xml", article("PMC916").xml().replace("was", "w\u{e0}s").chars().map(|letter| letter as u8).collect()),
        ("PMC917.xml", sound.clone().into_bytes()),
        ("PMC918.xml", utf16),
        ("PMC919.xml", sound[..sound.len() / 2].replace("PMC917", "PMC919").into_bytes()),
        ("PMC920.xml.gz", b"\x1f\x8b\x08\x00 not gzip".to_vec()),
    ];
    for (name, content) in &files {
        write(&folder, name, content);
    }
    let (admitted, gone) = ingest(&workspace, &folder);
    let gone: BTreeSet<&str> = gone.iter().map(|(id, _)| id.as_str()).collect();
    assert!(admitted.contains(&"PMC917.1-1".to_owned()), "the sound one is read: {admitted:?}");
    // What is made of entities, or lies elsewhere, is at most left as it is written: never expanded, never fetched.
    let rows = asclepius_dataset::read_reports(&workspace.stage("corpus").join("reports.parquet")).expect("opens");
    for report in rows {
        let report = report.expect("sound");
        assert!(!report.report.contains("root:") && report.report.len() < 10_000, "{}", report.report_id);
    }
    for name in ["PMC910.xml", "PMC911.xml", "PMC912.xml", "PMC914.xml", "PMC915.xml.gz", "PMC919.xml", "PMC920.xml.gz"]
    {
        assert!(gone.contains(name), "{name} is not in {gone:?}");
    }
    assert_eq!(admitted.len() + gone.len(), files.len(), "{admitted:?} {gone:?}");
}

#[test]
fn what_follows_an_article_too_large_is_read() {
    let workspace = Workspace::new();
    let folder = workspace.path().join("in");
    write(&folder, "PMC93.xml.gz", with_attribute(64, &article("PMC931").xml()));
    let (admitted, gone) = ingest(&workspace, &folder);
    assert_eq!(admitted, ["PMC931.1-1"]);
    assert_eq!(gone.len(), 1);
}
