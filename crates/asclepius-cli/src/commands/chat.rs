//! `asclepius chat`: a note, then questions about it, in the terminal.

use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};

use asclepius_serve::{Engine, EngineError, Gone, Prompt, Request};
use asclepius_text::InstructionTemplate;

use crate::args::ModelArgs;
use crate::commands::served::Served;
use crate::failure::{Failure, Outcome};
use crate::interrupt::interrupts;
use crate::output;

const HELP: &str = "\
Ask about the note: the first of the run's held-out ones, or the one that you paste. An empty line or the end of input
leaves, Ctrl-C stops an answer.
  /note          paste a note; a line that holds only a dot ends it
  /note N        take the N-th of the notes that /notes lists
  /task          list the tasks; /task NAME asks an example of one, /task NAME again the next
  /compare       ask two models each time, or no longer; /compare NAME names the other one
  /model         list the models; /model NAME takes another
  /temperature T, /top-p P, /max-tokens N, /seed N
  /help
";

/// What a line asks for.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    Leave,
    Ask(&'a str),
    Command(&'a str, &'a str),
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        match line.trim() {
            "" => Self::Leave,
            line => match line.strip_prefix('/') {
                Some(command) => {
                    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
                    Self::Command(name, rest.trim())
                }
                None => Self::Ask(line),
            },
        }
    }
}

/// Reads questions from stdin and answers on stdout.
pub fn run(args: &ModelArgs) -> Outcome {
    let served = Served::load(args)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let answering: Arc<Mutex<Option<Gone>>> = Arc::default();
    let stopping = Arc::clone(&answering);
    interrupts(&runtime, move || {
        locked(&stopping).take().is_some_and(|gone| {
            gone.leave();
            true
        })
    });
    let mut chat = Chat::new(served, answering);
    output::message(HELP);
    let stdin = std::io::stdin();
    let mut lines = stdin.lock().lines();
    if args.model.is_some() {
        // There are no held-out notes to begin with; an empty one leaves the made-up note.
        let note = read_note(&mut lines)?;
        if !note.trim().is_empty() {
            chat.note = note;
        }
    } else {
        chat.show_notes();
    }
    loop {
        prompt("question> ");
        let Some(line) = lines.next() else { return Ok(()) };
        let line = line?;
        match Line::read(&line) {
            Line::Leave => return Ok(()),
            Line::Ask(question) => chat.ask(question)?,
            Line::Command("note", "") => chat.note = read_note(&mut lines)?,
            Line::Command(name, value) => chat.command(name, value)?,
        }
    }
}

fn locked(answering: &Mutex<Option<Gone>>) -> std::sync::MutexGuard<'_, Option<Gone>> {
    answering.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Chat {
    served: Served,
    answering: Arc<Mutex<Option<Gone>>>,
    models: Vec<String>,
    model: String,
    beside: Option<String>,
    note: String,
    /// The task asked last, and how often.
    task: (String, usize),
    /// What does not change from question to question.
    request: Request,
}

impl Chat {
    fn new(served: Served, answering: Arc<Mutex<Option<Gone>>>) -> Self {
        let models = served.engine.models();
        let request = Request {
            model: String::new(),
            prompt: Prompt::Text(String::new()),
            temperature: 0.0,
            top_p: None,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            max_tokens: 256,
            seed: 0,
            stop: Vec::new(),
        };
        Self {
            answering,
            model: models.last().cloned().unwrap_or_default(),
            beside: None,
            note: served.page.samples.first().map(|sample| sample.note.clone()).unwrap_or_default(),
            task: (String::new(), 0),
            models,
            request,
            served,
        }
    }

    fn command(&mut self, name: &str, value: &str) -> Outcome {
        let understood = match (name, value) {
            ("help", "") => {
                output::message(HELP);
                true
            }
            ("notes", "") => {
                self.show_notes();
                true
            }
            ("note", number) => self.take_note(number),
            ("task", "") => {
                for task in &self.served.page.tasks {
                    output::message(&format!("  {:<14}{}\n", task.key, task.title));
                }
                true
            }
            ("task", key) => return self.ask_example(key),
            ("model", "") => {
                output::message(&format!("  {} of {}\n", self.model, self.models.join(", ")));
                true
            }
            ("model", name) => self.known(name).map(|name| self.model = name).is_some(),
            ("compare", "") => {
                let other = self.models.iter().find(|name| **name != self.model).cloned();
                self.beside = if self.beside.is_some() { None } else { other };
                match &self.beside {
                    Some(beside) => output::message(&format!("  {beside} beside {}\n", self.model)),
                    None => output::message(&format!("  {} alone\n", self.model)),
                }
                true
            }
            ("compare", name) => self.known(name).map(|name| self.beside = Some(name)).is_some(),
            ("temperature", value) => number(value, 0.0, 2.0).map(|value| self.request.temperature = value).is_some(),
            ("top-p", value) => {
                let value = number(value, 0.0, 1.0);
                value.map(|value| self.request.top_p = (value < 1.0).then_some(value.max(1e-9))).is_some()
            }
            ("max-tokens", value) => {
                let value = value.parse().ok().filter(|count| *count > 0);
                value.map(|count| self.request.max_tokens = count).is_some()
            }
            ("seed", value) => value.parse().map(|seed| self.request.seed = seed).is_ok(),
            _ => false,
        };
        if !understood {
            let line = output::printable(&format!("/{name} {value}"));
            output::message(&format!("  not understood: {}; /help lists what is\n", line.trim()));
        }
        Ok(())
    }

    fn known(&self, name: &str) -> Option<String> {
        self.models.iter().find(|known| *known == name).cloned()
    }

    fn show_notes(&self) {
        for (index, sample) in self.served.page.samples.iter().enumerate() {
            output::message(&format!("  {:>2}  {}\n", index + 1, output::printable(&sample.title)));
        }
    }

    fn take_note(&mut self, number: &str) -> bool {
        let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let Some(sample) = index.and_then(|index| self.served.page.samples.get(index)) else { return false };
        output::message(&format!("{}\n", output::printable(&sample.note)));
        self.note.clone_from(&sample.note);
        true
    }

    /// Asks what was asked over this very note for the task, then examples of the task.
    fn ask_example(&mut self, key: &str) -> Outcome {
        let page = &self.served.page;
        let Some(task) = page.tasks.iter().find(|task| task.key == key) else {
            output::message("  no such task; /task lists them\n");
            return Ok(());
        };
        let sample = page.samples.iter().find(|sample| sample.note == self.note);
        let own = sample.into_iter().flat_map(|sample| &sample.questions).filter(|question| question.task == key);
        let known: Vec<&String> = own.map(|question| &question.instruction).chain(&task.instructions).collect();
        let times = if self.task.0 == key { self.task.1 + 1 } else { 0 };
        let question = known.get(times % known.len().max(1)).map(|question| (*question).clone());
        self.task = (key.to_owned(), times);
        let question = question.unwrap_or_default();
        output::message(&format!("question> {}\n", output::printable(&question)));
        self.ask(&question)
    }

    fn ask(&mut self, question: &str) -> Outcome {
        let beside = self.beside.iter().filter(|beside| **beside != self.model);
        let models: Vec<String> = beside.chain([&self.model]).cloned().collect();
        let message = InstructionTemplate::user_message(&self.note, question);
        for model in &models {
            if models.len() > 1 {
                output::data(&format!("[{model}]"))?;
            }
            let request = Request {
                model: model.clone(),
                prompt: Prompt::Conversation(vec![message.clone()]),
                ..self.request.clone()
            };
            self.answer(&request)?;
        }
        Ok(())
    }

    /// Writes the answer as it is made.
    fn answer(&self, request: &Request) -> Outcome {
        let gone = Gone::default();
        *locked(&self.answering) = Some(gone.clone());
        let mut problem = None;
        let (mut begun, mut space) = (false, String::new());
        let result = self.served.engine.answer(request, &gone, &mut |text| {
            // Space around an answer is the template's, not the answer's.
            space.push_str(if begun { text } else { text.trim_start() });
            let end = space.trim_end().len();
            let said: String = space.drain(..end).collect();
            begun |= !said.is_empty();
            if let Err(failure) = output::piece(&output::printable(&said)) {
                problem.get_or_insert(failure);
                gone.leave();
            }
        });
        locked(&self.answering).take();
        output::data("")?;
        match (problem, result) {
            (Some(failure), _) => Err(failure),
            (None, Ok(_)) => Ok(()),
            (None, Err(EngineError::Gone)) => {
                output::message("  stopped\n");
                Ok(())
            }
            // What cannot be asked ends no conversation.
            (None, Err(error @ (EngineError::TooLong { .. } | EngineError::BadRequest(_)))) => {
                output::message(&format!("  {error}\n"));
                Ok(())
            }
            (None, Err(error)) => Err(Failure::Failed(error.into())),
        }
    }
}

fn number(text: &str, low: f64, high: f64) -> Option<f64> {
    text.parse().ok().filter(|value| (low..=high).contains(value))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_questions() {
        assert_eq!(Line::read("  "), Line::Leave);
        assert_eq!(Line::read("What / why?"), Line::Ask("What / why?"));
        assert_eq!(Line::read("/note"), Line::Command("note", ""));
        assert_eq!(Line::read("/note  3 "), Line::Command("note", "3"));
        assert_eq!(number("nan", 0.0, 2.0), None);
        assert_eq!(number("0.7", 0.0, 2.0), Some(0.7));
    }
}
