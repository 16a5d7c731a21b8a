//! Reports with a note that says what they say, and answers that say what the note says.

use std::path::{Path, PathBuf};

use asclepius_synth::{extractive, prompts};
use asclepius_text::Prompt;
use regex::Regex;

/// A source, a text that says what the source says, and where rules may look: `held_back` ones were never tuned on.
pub struct Case {
    pub name: String,
    pub source: String,
    pub text: String,
    pub held_back: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Notes by the extractive teacher: its own sample reports, real articles, and every sixth row of a PMC-Patients sample.
pub fn extracted() -> Vec<Case> {
    let prompt = Prompt::from_source(prompts::NOTE.name, prompts::NOTE.source).expect("the built-in prompt compiles");
    let mut reports: Vec<(String, String)> = Vec::new();
    for directory in ["data/case-reports", "../shared/data/case-reports"] {
        reports.extend(articles(&root().join(directory)));
    }
    let mut cases: Vec<Case> = reports.into_iter().enumerate().filter_map(|at| extract(&prompt, at)).collect();
    cases.extend(rows(0).into_iter().enumerate().filter_map(|at| extract(&prompt, at)));
    cases
}

fn extract(prompt: &Prompt, (at, (name, source)): (usize, (String, String))) -> Option<Case> {
    let messages = prompts::note_messages(prompt, &source, None).expect("renders");
    let text = extractive::reply(&messages).ok()?;
    Some(Case { name, source, text, held_back: at % 2 == 1 })
}

fn articles(directory: &Path) -> Vec<(String, String)> {
    let Ok(entries) = fs_err::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, prose(&fs_err::read_to_string(&path).expect("XML is text")))
    };
    paths.into_iter().map(read).filter(|(_, report)| report.split_whitespace().count() >= 50).collect()
}

/// Notes over other rows of the sample, to see more faithful notes than errors can be planted in.
pub fn surveyed() -> Vec<Case> {
    let prompt = Prompt::from_source(prompts::NOTE.name, prompts::NOTE.source).expect("the built-in prompt compiles");
    [1, 2, 3].into_iter().flat_map(rows).enumerate().filter_map(|at| extract(&prompt, at)).collect()
}

fn rows(from: usize) -> Vec<(String, String)> {
    let path = root().join("../shared/data/pmc-patients/PMC-Patients-sample.csv");
    let Ok(mut reader) = csv::Reader::from_path(path) else { return Vec::new() };
    let records = reader.records().skip(from).step_by(6).map(|record| record.expect("a row"));
    records.map(|record| (record[1].to_owned(), record[5].replace("\\n", "\n"))).collect()
}

/// Notes and answers in a clinician's own shorthand, under `tests/written`: note, `---`, then `Q:` and `A:` in turn.
pub struct Written {
    pub note: Case,
    pub answers: Vec<(String, String)>,
}

pub fn written() -> Vec<Written> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/written");
    let mut paths: Vec<_> = fs_err::read_dir(&directory)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let reports = articles(&root().join("data/case-reports"));
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let content = fs_err::read_to_string(&path).expect("a note");
        let (text, pairs) = content.split_once("\n---\n").expect("note and answers");
        let lines: Vec<&str> = pairs.lines().collect();
        let answers = lines.chunks(2).map(|pair| {
            let part = |at: usize, label| pair[at].strip_prefix(label).expect("in turn").to_owned();
            (part(0, "Q: "), part(1, "A: "))
        });
        let source = reports.iter().find(|(other, _)| *other == name).expect("the note's report").1.clone();
        let held_back = HELD_BACK.contains(&name.as_str());
        Written { answers: answers.collect(), note: Case { name, source, text: text.to_owned(), held_back } }
    };
    paths.into_iter().map(read).collect()
}

/// Notes of another hand, under `tests/fresh` and `tests/unseen`: letters, summaries, theatre and emergency notes over
/// the own sample reports, `<report>.<letter>.txt`, written before anybody looked at the rules with them in mind.
pub fn fresh(folder: &str) -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut paths: Vec<_> = fs_err::read_dir(&directory)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    let reports = articles(&root().join("data/case-reports"));
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let of = name.rsplit_once('.').expect("a letter").0.to_owned();
        let source = reports.iter().find(|(other, _)| *other == of).expect("the note's report").1.clone();
        Case { name, source, text: fs_err::read_to_string(&path).expect("a note"), held_back: false }
    };
    paths.into_iter().map(read).collect()
}

/// Changes of wording by hand, in a folder's `changes.tsv`: the note with the other words for each, its kind, what was
/// changed.
pub fn changes(folder: &str, cases: &[Case]) -> Vec<(usize, String, String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder).join("changes.tsv");
    let table = fs_err::read_to_string(path).expect("a table");
    let rows = table.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [note, kind, from, to] = columns[..] else { panic!("four columns: {line}") };
        let at = cases.iter().position(|case| case.name.ends_with(note)).expect("a note");
        assert_eq!(cases[at].text.matches(from).count(), 1, "{line}");
        (at, kind.to_owned(), cases[at].text.replace(from, to), format!("{note}: {from:?} -> {to:?}"))
    });
    rows.collect()
}

const HELD_BACK: &[&str] =
    &["PMC99000003", "PMC99000004", "PMC99000008", "PMC99000010", "PMC99000014", "PMC99000018", "PMC99000023"];

/// The case as JATS tells it, by its paragraphs.
fn prose(jats: &str) -> String {
    let paragraph = Regex::new(r"(?s)<title>(.*?)</title>|<p(?: [^>]*)?>(.*?)</p>").expect("a pattern");
    let entity = Regex::new(r"&#x([0-9A-Fa-f]+);").expect("a pattern");
    let tag = Regex::new(r"<[^>]+>").expect("a pattern");
    let (case, other) = (
        Regex::new(r"(?i)case|patient|presentation|history|investigation|treatment|outcome|follow|examination|diagnos|therap|finding").expect("a pattern"),
        Regex::new(r"(?i)discussion|introduction|background|conclusion|literature|method|consent|ethic|fund|conflict|review|learning|acknowl|limitation").expect("a pattern"),
    );
    let body = jats.find("<body").map_or("", |start| &jats[start..]);
    let body = &body[..body.find("</body>").unwrap_or(body.len())];
    let mut inside = false;
    let (mut all, mut told) = (Vec::new(), Vec::new());
    for hit in paragraph.captures_iter(body) {
        if let Some(title) = hit.get(1) {
            inside = if other.is_match(title.as_str()) { false } else { inside || case.is_match(title.as_str()) };
            continue;
        }
        let text = tag.replace_all(hit.get(2).map_or("", |text| text.as_str()), "");
        let text = entity.replace_all(&text, |hit: &regex::Captures<'_>| {
            u32::from_str_radix(&hit[1], 16).ok().and_then(char::from_u32).map_or(String::new(), String::from)
        });
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if !text.is_empty() {
            if inside {
                told.push(text.clone());
            }
            all.push(text);
        }
    }
    if told.iter().map(|text| text.split_whitespace().count()).sum::<usize>() >= 80 { told } else { all }.join("\n\n")
}
