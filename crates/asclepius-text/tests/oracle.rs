//! The saved tokenizer in other hands: transformers loads the directory and gives the same ids.
//!
//! Skipped, saying so, where the interpreter named by `ASCLEPIUS_PYTHON` (else `python3`) has no transformers.

use std::path::Path;
use std::process::Command;

use asclepius_schema::Message;
use asclepius_text::{InstructionTemplate, SpecialNames, TextTokenizer};
use serde_json::json;

const TEXTS: [&str; 5] = [
    "A 65-year-old man presented with chest pain; blood pressure 140/90 mmHg, troponin 2.35 ng/mL.",
    "He was treated with aspirin 100 mg daily.\n\nHe didn't improve.\n  - fever 38,5 °C\n",
    " leading space, trailing space ",
    "naïve T-cells ↑ “quoted” 日本 😀 \u{200b}",
    "text that says <|eos|> and <|bos|>",
];

#[test]
fn transformers_gives_the_same_ids() {
    let python = std::env::var("ASCLEPIUS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let importable = Command::new(&python).args(["-c", "import transformers"]).output();
    if !importable.is_ok_and(|output| output.status.success()) {
        say_skipped(&python);
        return;
    }
    let tokenizer = TextTokenizer::train_bpe(TEXTS.into_iter().cycle().take(20), 600, &SpecialNames::default())
        .expect("five texts are enough");
    let directory = tempfile::tempdir().expect("a directory");
    tokenizer.save(directory.path()).expect("writable");

    let template = InstructionTemplate::asclepius();
    let texts = TEXTS.map(|text| json!({"text": text, "ids": tokenizer.encode_text(text).expect("bytes")}));
    // In a rendered conversation transformers cannot tell a note's special strings from the template's; we can.
    let plain = &TEXTS[..4];
    let conversations: Vec<_> = plain
        .iter()
        .map(|text| {
            let messages =
                [Message::system("Be brief."), Message::user(*text), Message::assistant("Yes."), Message::user("?")];
            let ids = template.encode_conversation(&tokenizer, &messages).expect("renders");
            json!({"messages": messages, "ids": ids})
        })
        .collect();
    let rows: Vec<_> = plain
        .iter()
        .map(|text| {
            let messages = [InstructionTemplate::user_message(text, "Which dose?"), Message::assistant("100 mg")];
            let row = template.encode(&tokenizer, text, "Which dose?", "100 mg").expect("renders");
            json!({"messages": messages, "ids": row.ids})
        })
        .collect();
    let cases = json!({"texts": texts, "conversations": conversations, "rows": rows});
    fs_err::write(directory.path().join("cases.json"), cases.to_string()).expect("writable");

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/oracle/tokenizer_oracle.py");
    let output = Command::new(python)
        .env("HF_HUB_OFFLINE", "1")
        .arg(script)
        .arg(directory.path())
        .output()
        .expect("the named Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[expect(clippy::print_stderr, reason = "a skipped check must say so")]
fn say_skipped(python: &str) {
    eprintln!("skipped: {python} has no transformers; name one that has in ASCLEPIUS_PYTHON");
}
