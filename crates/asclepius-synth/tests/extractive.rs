//! The extractive teacher over every built-in prompt and every report at hand: what it writes is made of the report's
//! words, the abbreviation table's and its own short list, and each task's question gets an answer.

use std::collections::BTreeSet;
use std::path::Path;

use asclepius_schema::Task;
use asclepius_synth::prompts::{self, Builtin};
use asclepius_synth::{draw, extractive};
use asclepius_text::{Prompt, abbreviations};
use proptest::prelude::*;
use regex::Regex;

fn prompt(builtin: &Builtin) -> Prompt {
    Prompt::from_source(builtin.name, builtin.source).expect("built-in prompts compile")
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// What a note or an answer may be made of, given the texts it may be taken from.
fn allowed(texts: &[&str]) -> BTreeSet<String> {
    let table = abbreviations::table().iter().flat_map(|entry| words(entry.term).chain(words(entry.abbreviation)));
    let fixed = extractive::fixed_words().into_iter();
    texts.iter().flat_map(|text| words(text)).chain(table).chain(fixed).collect()
}

fn assert_made_of(text: &str, allowed: &BTreeSet<String>, what: &str) {
    let foreign: Vec<String> = words(text).filter(|word| !allowed.contains(word)).collect();
    assert!(foreign.is_empty(), "{what} holds words of its own {foreign:?}: {text}");
}

struct Exercise {
    task: Task,
    unanswerable: bool,
    question: String,
    answer: String,
}

/// Runs the built-in prompts as the stages do, with the seed questions as examples.
fn note_of(report: &str) -> String {
    let messages = prompts::note_messages(&prompt(&prompts::NOTE), report, None).expect("renders");
    extractive::reply(&messages).expect("a report gives a note")
}

fn exercises_of(note: &str) -> Vec<Exercise> {
    let (ask, respond) = (prompt(&prompts::QUESTION), prompt(&prompts::ANSWER));
    let mut exercises = Vec::new();
    for task in Task::ALL {
        for unanswerable in [false, true] {
            let examples = draw::examples(0, "any", task);
            let shown = prompts::Shown { examples: &examples, asked: &[] };
            let messages = prompts::question_messages(&ask, note, task, shown, unanswerable).expect("renders");
            let question = extractive::reply(&messages).expect("a note gives a question");
            let messages = prompts::answer_messages(&respond, note, task, &question).expect("renders");
            let answer = extractive::reply(&messages).expect("a question gives an answer");
            exercises.push(Exercise { task, unanswerable, question, answer });
        }
    }
    exercises
}

/// Everything that holds for any report.
fn check(report: &str, name: &str) {
    let note = note_of(report);
    assert_made_of(&note, &allowed(&[report]), name);
    assert_eq!(note, note_of(report), "{name}: not the same note twice");
    for Exercise { task, unanswerable, question, answer } in exercises_of(&note) {
        let what = format!("{name}, {}: {question:?}", task.key());
        let from = if unanswerable { allowed(&[&note, &question]) } else { allowed(&[&note]) };
        assert_made_of(&answer, &from, &what);
        assert!(!answer.trim().is_empty() && !answer.trim_end().ends_with('?'), "{what}: {answer:?}");
        if unanswerable {
            assert!(answer.starts_with("The note does not"), "{what}: {answer}");
        } else {
            assert!(!answer.starts_with("The note does not mention it"), "{what}: its own question has no answer");
        }
    }
}

/// The text of an article's body paragraphs. Reading JATS properly is another crate's work; here any prose will do.
fn prose(jats: &str) -> String {
    let paragraph = Regex::new(r"(?s)<p(?: [^>]*)?>(.*?)</p>").expect("a pattern");
    let tag = Regex::new(r"<[^>]+>").expect("a pattern");
    let body = jats.find("<body").map_or("", |start| &jats[start..]);
    let paragraphs = paragraph.captures_iter(body).map(|hit| {
        let text = tag.replace_all(&hit[1], "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    paragraphs.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// Checks every article of a directory; returns how many there were.
fn check_directory(directory: &Path) -> usize {
    let mut paths: Vec<_> = fs_err::read_dir(directory)
        .expect("the directory is readable")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "xml"))
        .collect();
    paths.sort();
    let mut checked = 0;
    for path in paths {
        let report = prose(&fs_err::read_to_string(&path).expect("XML is text"));
        if report.split_whitespace().count() >= 50 {
            check(&report, &path.display().to_string());
            checked += 1;
        }
    }
    checked
}

#[test]
fn our_own_reports_give_notes_and_exercises() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/case-reports");
    assert!(check_directory(&directory) >= 24);
}

#[test]
fn published_reports_give_notes_and_exercises() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/case-reports");
    if directory.exists() {
        assert!(check_directory(&directory) > 0);
    }
}

const SAMPLE: &str = "A 62-year-old woman presented to the emergency department with shortness of breath and chest pain for \
three days. She had a history of hypertension and type 2 diabetes mellitus. She denied fever or cough.\n\n\
On physical examination, her blood pressure was 152/88 mmHg and her heart rate was 104 beats per minute. There was no \
murmur. Chest X-ray showed a mass of 4 cm in the left lower lobe (Figure 1). Computed tomography (CT) revealed that \
there was a mass with two enlarged lymph nodes [3, 4]. The C-reactive protein level was 42 mg/L. A biopsy of the mass \
confirmed the diagnosis of squamous cell carcinoma.\n\n\
The patient underwent a left lower lobectomy on day 5. The mass was removed completely. She was given cefazolin 2 g \
every 8 hours for suspected pneumonia due to aspiration. However, her oxygen saturation fell to 88% two days after \
surgery. She was discharged on postoperative day 9. At the 6-month follow-up she remained well. Written informed consent \
was obtained from the patient.";

#[test]
fn the_sample_note_and_its_exercises_read_well() {
    let note = note_of(SAMPLE);
    let exercises: Vec<String> = exercises_of(&note)
        .into_iter()
        .map(|Exercise { task, unanswerable, question, answer }| {
            let mark = if unanswerable { " (unanswerable)" } else { "" };
            format!("{}{mark}\nQ: {question}\nA: {answer}\n", task.title())
        })
        .collect();
    insta::assert_snapshot!("sample", format!("{note}\n\n---\n\n{}", exercises.join("\n")));
}

fn sentence() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "[a-zäé]{1,9}",
        1 => "[A-Z][a-z]{2,8}",
        2 => prop::sample::select(abbreviations::table()).prop_map(|entry| entry.term.to_owned()),
        1 => prop::sample::select(abbreviations::table()).prop_map(|entry| entry.abbreviation.to_owned()),
        2 => prop::sample::select(&[
            "no", "was", "showed", "due to", "she", "the mass", "a 45-year-old man", "aspirin 100 mg", "on day 3",
            "diagnosed with", "underwent", "with", "for two weeks", "discharged", "history", "The patient was", "(CT)",
            "no known allergies, pets", "[1, 2]", "(Figure 2)", "fever,", "for treatment of", "It", "CT:", "In May 2020",
        ][..]).prop_map(str::to_owned),
        1 => "[0-9]{1,3}(\\.[0-9])? ?(mg|%|cm|mmHg)?",
        1 => "[ -~]{1,6}",
    ];
    (prop::collection::vec(word, 1..14), prop::sample::select(&[".", "?", ";", "", ":"][..]))
        .prop_map(|(words, end)| format!("{}{end}", words.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_word_of_its_own_whatever_the_report(sentences in prop::collection::vec(sentence(), 1..12)) {
        let report = sentences.join(" ");
        prop_assume!(report.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count() >= 3);
        // A report without one sentence of two words gives no note; that is the next test's matter.
        if extractive::reply(&prompts::note_messages(&prompt(&prompts::NOTE), &report, None).expect("renders")).is_ok() {
            check(&report, "a made-up report");
        }
    }

    #[test]
    fn any_text_gets_a_reply_or_a_clear_refusal(text in "\\PC{0,200}") {
        for tags in ["report", "note"] {
            let content = format!("<task>qa</task>\n<{tags}>\n{text}\n</{tags}>\n<question>\n{text}\n</question>");
            if let Ok(reply) = extractive::reply(&[asclepius_schema::Message::user(content)]) {
                prop_assert!(!reply.trim().is_empty());
            }
        }
    }
}
