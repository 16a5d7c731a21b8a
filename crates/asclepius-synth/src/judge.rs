//! Notes and answers rated by a chat model: one call each, at temperature 0, and one more where a reply cannot be read.
//!
//! Servers that hold a reply to a JSON schema are asked for it, the others for JSON in words. Which of the two a server is
//! shows the first row that can show it; all others are asked the same way, so that who is asked what depends neither on
//! concurrency nor on which calls are in the ledger already.

use asclepius_llm::{Call, Client, Completion, Reply};
use asclepius_schema::{JudgeCall, Message, Reason};
use asclepius_text::judge::{again, read, response_format};
use asclepius_text::{Exhibit, JudgePrompts, Judged, Subject};

use crate::{SinkError, SynthError, delivery};

/// How a server is asked for JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// It holds the reply to a schema.
    Schema,
    /// The prompt asks, and the reply may have prose around it.
    Words,
}

/// A judge behind a chat API.
#[derive(Debug)]
pub struct Judge {
    prompts: JudgePrompts,
    max_tokens: u32,
    client: Client,
    /// Unknown until a row has shown it.
    form: Option<Form>,
}

impl Judge {
    /// A judge that nobody was rated by yet.
    pub fn new(prompts: JudgePrompts, max_tokens: u32, client: Client) -> Self {
        // Finding out would cost a batch for a single call.
        let form = client.is_batched().then_some(Form::Words);
        Self { prompts, max_tokens, client, form }
    }

    /// Rates each exhibit, `rows` of them at most at a time; they go by the ids of their rows. `on` is called exactly once an
    /// exhibit with its index, in their order.
    ///
    /// # Errors
    /// When a prompt cannot be rendered, when the client finds that no call can succeed, or when `on` fails; replies that
    /// were under way are in the ledger then.
    pub async fn rate(
        &mut self,
        exhibits: impl IntoIterator<Item = (String, Exhibit)>,
        rows: usize,
        on: &mut (dyn FnMut(usize, Judged) -> Result<(), SinkError> + Send),
    ) -> Result<(), SynthError> {
        let mut exhibits = exhibits.into_iter();
        let mut first = 0;
        let form = loop {
            if let Some(form) = self.form {
                break form;
            }
            let Some((id, exhibit)) = exhibits.next() else { return Ok(()) };
            let judged = self.find_out(&id, &exhibit).await?;
            on(first, judged).map_err(SynthError::Sink)?;
            first += 1;
        };
        let judge = &*self;
        let work = |(id, exhibit): (String, Exhibit)| async move { judge.ask(&id, &exhibit, form).await };
        delivery::in_order(exhibits, rows, work, &mut |index, judged| on(first + index, judged)).await
    }

    /// Rates a row, and learns from it how the server is to be asked, where it tells.
    async fn find_out(&mut self, id: &str, exhibit: &Exhibit) -> Result<Judged, SynthError> {
        let judged = self.ask(id, exhibit, Form::Schema).await?;
        match judged {
            Judged::Unrated { reason: Reason::RequestRejected | Reason::Malformed, .. } => {
                let in_words = self.ask(id, exhibit, Form::Words).await?;
                // A row that is refused either way says nothing of the others.
                let refused = matches!(&in_words, Judged::Unrated { reason: Reason::RequestRejected, .. });
                self.form = (!refused).then_some(Form::Words);
                Ok(in_words)
            }
            Judged::Unrated { reason: Reason::Filtered, .. } => Ok(judged),
            _ => {
                self.form = Some(Form::Schema);
                Ok(judged)
            }
        }
    }

    async fn ask(&self, id: &str, exhibit: &Exhibit, form: Form) -> Result<Judged, SynthError> {
        let messages = self.prompts.messages(exhibit)?;
        let subject = exhibit.subject();
        let [stage, stage_again] = stages(subject);
        if form == Form::Schema {
            // The client holds the reply to the schema, and asks once more itself.
            let reply = match self.call(id, stage, messages, Some(subject)).await? {
                Ok(reply) => reply,
                Err(end) => return Ok(end),
            };
            return Ok(match read(&reply.text) {
                Ok(assessment) => self.rated(subject, assessment, reply),
                Err(fault) => unread(stage, fault),
            });
        }
        let reply = match self.call(id, stage, messages.clone(), None).await? {
            Ok(reply) => reply,
            Err(end) => return Ok(end),
        };
        let fault = match read(&reply.text) {
            Ok(assessment) => return Ok(self.rated(subject, assessment, reply)),
            Err(fault) => fault,
        };
        let reply = match self.call(id, stage_again, again(messages, &reply.text, fault), None).await? {
            Ok(reply) => reply,
            Err(end) => return Ok(end),
        };
        Ok(match read(&reply.text) {
            Ok(assessment) => self.rated(subject, assessment, reply),
            Err(fault) => unread(stage_again, fault),
        })
    }

    /// A reply, or how it ends without one; of the shape for `shaped` where that is given.
    async fn call(
        &self,
        id: &str,
        stage: &'static str,
        messages: Vec<Message>,
        shaped: Option<Subject>,
    ) -> Result<Result<Reply, Judged>, SynthError> {
        let response_format = shaped.map(response_format);
        let call = Call { response_format, ..Call::new(id, stage, messages, 0.0, self.max_tokens) };
        Ok(match self.client.complete(&call).await? {
            Completion::Reply(reply) => Ok(reply),
            Completion::Dropped { reason, detail } => {
                Err(Judged::Unrated { reason, detail: format!("{stage}: {detail}") })
            }
            Completion::Pending { detail } => Err(Judged::Pending { detail: format!("{stage}: {detail}") }),
        })
    }

    fn rated(&self, subject: Subject, assessment: asclepius_text::Assessment, reply: Reply) -> Judged {
        let call = reply.lineage(self.prompts.of(subject).hash());
        Judged::Rated(Box::new(assessment), Box::new(JudgeCall { model: reply.model, call }))
    }
}

fn unread(stage: &str, fault: asclepius_text::judge::Fault) -> Judged {
    Judged::Unrated { reason: Reason::Malformed, detail: format!("{stage}: {fault}") }
}

/// What the ledger calls the calls about a subject: the first, and the one after a reply that could not be read.
fn stages(subject: Subject) -> [&'static str; 2] {
    match subject {
        Subject::Note => ["judge note", "judge note again"],
        Subject::Answer => ["judge answer", "judge answer again"],
    }
}
