//! Note to instructions: for each task drawn for the note, one call that asks and one that answers.

use std::borrow::Borrow;

use asclepius_llm::{Call, Client, Completion, Reply};
use asclepius_schema::{Dropped, Instruction, Note, Reason, Task};
use asclepius_text::{GatesConfig, Prompt};

use crate::pool::{Asked, Place, Pool, is_new};
use crate::prompts::Shown;
use crate::{InstructConfig, SinkError, SynthError, delivery, draw, evidence, faults, prompts};

/// How many questions asked about the same note before a question prompt shows.
const OWN_EXAMPLES: usize = 2;

/// What became of one instruction.
#[derive(Debug, Clone, PartialEq)]
pub enum InstructionOutcome {
    /// A question with its answer.
    Written(Box<Instruction>),
    /// None, for good.
    Dropped(Dropped),
    /// None yet: the next run asks again.
    Pending {
        /// The row: report and index.
        id: String,
        /// Why.
        detail: String,
    },
}

/// Asks and answers `per_note` instructions for each note, for `rows` notes at most at a time. Each question's prompt
/// shows those asked before about its note and some asked about earlier notes, so one follows the
/// other; where the client gathers calls into batches, that would cost a batch each, and all are asked at once with seed
/// questions only. A question that is almost one of those asked before is asked for once more, then refused. One in which the model
/// speaks of itself or declines more than `gates` allow is dropped, as is an answer that asks back. `on` is called exactly once an instruction with the note's
/// index, in the order of `notes` and of the instructions of each.
///
/// # Errors
/// When a prompt cannot be loaded or rendered, when the client finds that no call can succeed, or when `on` fails;
/// replies that were under way are in the ledger then, and the rows before the failure were delivered.
pub async fn write_instructions<N: Borrow<Note>>(
    notes: impl IntoIterator<Item = N>,
    config: &InstructConfig,
    gates: &GatesConfig,
    seed: u64,
    client: &Client,
    rows: usize,
    on: &mut (dyn FnMut(usize, InstructionOutcome) -> Result<(), SinkError> + Send),
) -> Result<(), SynthError> {
    config.validate()?;
    let (question_prompt, answer_prompt) = config.load_prompts()?;
    let pool = Pool::new(config.question_similarity);
    let asker = Asker { config, gates, seed, client, question_prompt, answer_prompt, pool };
    let work = |note: N| {
        let asker = &asker;
        // Places are taken as notes begin, which is in their order.
        let place = asker.pool.place(note.borrow().report_id.as_str());
        async move { asker.all_of(note.borrow(), place).await }
    };
    let mut each = |index, outcomes: Vec<InstructionOutcome>| {
        for outcome in outcomes {
            on(index, outcome)?;
        }
        Ok(())
    };
    delivery::in_order(notes, rows, work, &mut each).await
}

struct Asker<'a> {
    config: &'a InstructConfig,
    gates: &'a GatesConfig,
    seed: u64,
    client: &'a Client,
    question_prompt: Prompt,
    answer_prompt: Prompt,
    pool: Pool,
}

/// A call's reply, or the end of its row.
enum Step {
    Reply(Reply),
    End(InstructionOutcome),
}

/// One instruction of a note, before it is asked.
struct Row {
    id: String,
    index: u32,
    task: Task,
    unanswerable: bool,
}

impl Asker<'_> {
    async fn all_of(&self, note: &Note, place: Place) -> Result<Vec<InstructionOutcome>, SynthError> {
        let report_id = note.report_id.as_str();
        let tasks = draw::tasks(self.seed, report_id, &self.config.tasks, self.config.per_note);
        let rows = (0..).zip(tasks).map(|(index, task)| {
            let id = format!("{report_id}#{index}");
            let unanswerable = draw::unanswerable(self.seed, &id, self.config.unanswerable_fraction);
            Row { id, index, task, unanswerable }
        });
        if self.client.is_batched() {
            let alone = rows.map(async |row| self.one(note, row, &mut Vec::new(), &Asked::default()).await);
            return Ok(self.without_repetitions(futures::future::try_join_all(alone).await?));
        }
        let rows: Vec<Row> = rows.collect();
        let before = match self.pool.before(place).await {
            Ok(before) => before,
            Err(open) => {
                self.pool.left_open(place, &open);
                let waits = |row: Row| InstructionOutcome::Pending { id: row.id, detail: format!("waits for {open}") };
                return Ok(rows.into_iter().map(waits).collect());
            }
        };
        let outcomes = self.one_after_the_other(note, rows, &before, place).await;
        if outcomes.is_err() {
            // Nobody may wait for what will not come.
            self.pool.left_open(place, report_id);
        }
        outcomes
    }

    /// Each question is to differ from those before it.
    async fn one_after_the_other(
        &self,
        note: &Note,
        rows: Vec<Row>,
        before: &Asked,
        place: Place,
    ) -> Result<Vec<InstructionOutcome>, SynthError> {
        let mut asked: Vec<(Task, String)> = Vec::new();
        let mut outcomes: Vec<InstructionOutcome> = Vec::new();
        for row in rows {
            // What is asked next shows what was asked before: while that is open, asking now would make the rows
            // depend on where a run was interrupted.
            if let Some(InstructionOutcome::Pending { id: open, .. }) = outcomes.last() {
                let detail = format!("waits for {open}");
                outcomes.push(InstructionOutcome::Pending { id: row.id, detail });
                continue;
            }
            let outcome = self.one(note, row, &mut asked, before).await?;
            outcomes.push(outcome);
        }
        match outcomes.iter().find_map(|outcome| match outcome {
            InstructionOutcome::Pending { id, .. } => Some(id),
            _ => None,
        }) {
            Some(open) => self.pool.left_open(place, open),
            None => self.pool.asked(place, asked),
        }
        Ok(outcomes)
    }

    /// Drops what repeats an earlier question of the note, where all were asked at once.
    fn without_repetitions(&self, outcomes: Vec<InstructionOutcome>) -> Vec<InstructionOutcome> {
        let mut asked: Vec<String> = Vec::new();
        let keep = |outcome| match outcome {
            InstructionOutcome::Written(row) if !is_new(&row.question, &asked, self.config.question_similarity) => {
                dropped(row.row_id(), (Reason::NearDuplicate, REPEATED.to_owned()))
            }
            InstructionOutcome::Written(row) => {
                asked.push(row.question.clone());
                InstructionOutcome::Written(row)
            }
            other => other,
        };
        outcomes.into_iter().map(keep).collect()
    }

    /// A question that was not asked before, or the end of its row.
    async fn question(
        &self,
        note: &Note,
        row: &Row,
        asked: &[(Task, String)],
        before: &Asked,
    ) -> Result<Result<(Reply, String), InstructionOutcome>, SynthError> {
        let seeds = draw::examples(self.seed, &row.id, row.task);
        let own = |most: usize| asked.iter().rev().take(most).rev().map(|(_, question)| question.clone());
        let mut examples: Vec<String> =
            seeds.iter().cloned().chain(before.shown(self.seed, &row.id, row.task)).collect();
        let mut of_note: Vec<String> = own(OWN_EXAMPLES).collect();
        for stage in ["question", "question again"] {
            let shown = Shown { examples: &examples, asked: &of_note };
            let messages =
                prompts::question_messages(&self.question_prompt, &note.note, row.task, shown, row.unanswerable)?;
            let reply = match self.call(row, stage, messages).await? {
                Step::Reply(reply) => reply,
                Step::End(outcome) => return Ok(Err(outcome)),
            };
            let question = faults::unlabelled(&reply.text).to_owned();
            if let Some(fault) = faults::of_question(&question, self.gates) {
                return Ok(Err(dropped(row.id.clone(), fault)));
            }
            let known = asked.iter().map(|(_, question)| question).chain(before.of(row.task));
            if is_new(&question, known, self.config.question_similarity) {
                return Ok(Ok((reply, question)));
            }
            // The next prompt shows all that it may not repeat, this question last.
            examples =
                seeds.iter().chain(before.of(row.task)).filter(|example| **example != question).cloned().collect();
            of_note = own(asked.len()).filter(|other| *other != question).collect();
            of_note.push(question);
        }
        Ok(Err(dropped(row.id.clone(), (Reason::NearDuplicate, REPEATED.to_owned()))))
    }

    async fn one(
        &self,
        note: &Note,
        row: Row,
        asked: &mut Vec<(Task, String)>,
        before: &Asked,
    ) -> Result<InstructionOutcome, SynthError> {
        let (question, question_text) = match self.question(note, &row, asked, before).await? {
            Ok(question) => question,
            Err(outcome) => return Ok(outcome),
        };
        asked.push((row.task, question_text.clone()));

        let messages = prompts::answer_messages(&self.answer_prompt, &note.note, row.task, &question_text)?;
        let answer = match self.call(&row, "answer", messages).await? {
            Step::Reply(reply) => reply,
            Step::End(outcome) => return Ok(outcome),
        };
        let answer_text = faults::unlabelled(&answer.text).to_owned();
        if let Some(fault) = faults::of_answer(&answer_text, self.gates) {
            return Ok(dropped(row.id, fault));
        }
        let evidence = if row.unanswerable { Vec::new() } else { evidence::spans(&note.note, &answer_text) };
        Ok(InstructionOutcome::Written(Box::new(Instruction {
            patient_id: note.patient_id,
            note: note.note.clone(),
            question: question_text,
            answer: answer_text,
            task: row.task,
            report_id: note.report_id.clone(),
            article_id: note.article_id.clone(),
            index: row.index,
            unanswerable: row.unanswerable,
            licence: note.licence,
            licence_url: note.licence_url.clone(),
            attribution: note.attribution.clone(),
            teacher_model: answer.model.clone(),
            split: None,
            note_call: note.note_call.clone(),
            question_call: question.lineage(self.question_prompt.hash()),
            answer_call: answer.lineage(self.answer_prompt.hash()),
            scores: Vec::new(),
            evidence,
            judge: None,
        })))
    }

    async fn call(
        &self,
        row: &Row,
        stage: &'static str,
        messages: Vec<asclepius_schema::Message>,
    ) -> Result<Step, SynthError> {
        let call = Call::new(&row.id, stage, messages, self.config.temperature, self.config.max_tokens);
        Ok(match self.client.complete(&call).await? {
            Completion::Reply(reply) => Step::Reply(reply),
            Completion::Dropped { reason, detail } => {
                Step::End(dropped(row.id.clone(), (reason, format!("{stage}: {detail}"))))
            }
            Completion::Pending { detail } => {
                Step::End(InstructionOutcome::Pending { id: row.id.clone(), detail: format!("{stage}: {detail}") })
            }
        })
    }
}

/// Why a question is refused that was asked before.
const REPEATED: &str = "question: almost the same was asked before";

fn dropped(id: String, (reason, detail): (Reason, String)) -> InstructionOutcome {
    InstructionOutcome::Dropped(Dropped::new(id, reason, detail))
}
