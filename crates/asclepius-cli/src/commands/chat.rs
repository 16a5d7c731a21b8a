//! `asclepius chat`: a note, then questions about it, in the terminal.

use std::io::{BufRead, Write};

use asclepius_serve::{ChatRequest, Engine};
use asclepius_text::InstructionTemplate;

use crate::args::ModelArgs;
use crate::failure::{Failure, Outcome};
use crate::output;

const HELP: &str = "Paste a note and end it with a line that holds only a dot; then ask. \
                    `/note` takes another note, an empty line or end of input leaves.\n";

/// Reads questions from stdin and answers on stdout.
pub fn run(model: &ModelArgs) -> Outcome {
    let engine = super::serve::engine(model)?;
    let name = engine.models().pop().unwrap_or_default();
    output::message(HELP);
    let stdin = std::io::stdin();
    let mut lines = stdin.lock().lines();
    let mut note = read_note(&mut lines)?;
    loop {
        prompt("question> ");
        let Some(line) = lines.next() else { return Ok(()) };
        let question = line?.trim().to_owned();
        match question.as_str() {
            "" => return Ok(()),
            "/note" => note = read_note(&mut lines)?,
            _ => {
                let request = ChatRequest {
                    model: name.clone(),
                    messages: vec![InstructionTemplate::user_message(&note, &question)],
                    temperature: 0.0,
                    top_p: None,
                    max_tokens: 256,
                    seed: 0,
                    stop: Vec::new(),
                };
                let reply = engine.complete(&request).map_err(|error| Failure::Failed(error.into()))?;
                output::data(reply.text.trim())?;
            }
        }
    }
}

fn read_note(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Outcome<String> {
    prompt("note> ");
    let mut note = Vec::new();
    for line in lines {
        let line = line?;
        if line.trim() == "." {
            break;
        }
        note.push(line);
    }
    Ok(note.join("\n"))
}

fn prompt(text: &str) {
    output::message(text);
    let _ = std::io::stderr().flush(); // a closed stderr must not end the conversation
}
