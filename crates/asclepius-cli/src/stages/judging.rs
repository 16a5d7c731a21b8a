//! The dataset stage's judge: rows that every rule let through go to a chat model, ratings come back.

use asclepius_dataset::{Exhibits, Judge, Summary};
use asclepius_schema::{Fingerprint, Manifest};
use asclepius_text::{JudgePrompts, Judged, Subject};
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Outcome};
use crate::progress::StageBar;
use crate::run::Run;
use crate::stages::asking;
use crate::teacher::{self, Teacher};

/// A judge behind a client of its own.
#[derive(Debug)]
pub struct ChatJudge<'run> {
    run: &'run Run,
    chat: Teacher,
    rows: usize,
    judge: asclepius_synth::Judge,
    prompts: JudgePrompts,
}

fn prompts(run: &Run) -> Outcome<JudgePrompts> {
    let config = &run.config().dataset;
    JudgePrompts::load(config.judge_note_prompt.as_deref(), config.judge_answer_prompt.as_deref())
        .map_err(Failure::usage)
}

/// Adds what can change a rating: the model, the prompts' content, the sampling. Nothing where there is no judge, so that
/// datasets made before there was one stand: its gate is taken out of `gates`, too.
pub fn fingerprint(run: &Run, gates: &mut Map<String, Value>, fingerprint: Fingerprint) -> Outcome<Fingerprint> {
    let config = &run.config().dataset;
    let Some(judge) = &config.judge else {
        gates.remove("judge");
        return Ok(fingerprint);
    };
    let prompts = prompts(run)?;
    let fingerprint = fingerprint
        .setting("judge", &teacher::judge_name(run, judge)?)
        .setting("judge extra_body", &judge.extra_body)
        .bytes("judge note prompt", prompts.of(Subject::Note).hash().as_bytes())
        .bytes("judge answer prompt", prompts.of(Subject::Answer).hash().as_bytes())
        .setting("judge max_tokens", &config.judge_max_tokens);
    // In batches nobody is asked for a schema.
    Ok(if judge.batch { fingerprint.bytes("judge batch", b"") } else { fingerprint })
}

impl<'run> ChatJudge<'run> {
    /// The pipeline's judge, if it has one.
    pub fn open(run: &'run Run) -> Outcome<Option<Self>> {
        let config = &run.config().dataset;
        let Some(judge) = &config.judge else { return Ok(None) };
        let prompts = prompts(run)?;
        let chat = Teacher::judge(run, judge)?;
        let asked = asclepius_synth::Judge::new(prompts.clone(), config.judge_max_tokens, chat.client.clone());
        Ok(Some(Self { run, chat, rows: judge.rows_at_once(), judge: asked, prompts }))
    }

    /// Ends the client and puts what it did into the manifest.
    pub fn finish(self, manifest: &mut Manifest, summary: &Summary) -> Outcome {
        asking::close(self.run, &self.chat)?;
        asking::account(manifest, &self.chat);
        let hash = |subject| self.prompts.of(subject).hash();
        let details = json!({
            "model": self.chat.client.model(),
            "prompts": { "note": hash(Subject::Note), "instruction": hash(Subject::Answer) },
            "ratings": summary.ratings,
        });
        manifest.details.insert("judge".to_owned(), details);
        Ok(())
    }
}

impl Judge for ChatJudge<'_> {
    type Error = Failure;

    fn rate(&mut self, subject: Subject, count: u64, exhibits: &mut Exhibits<'_>) -> Outcome<Vec<Judged>> {
        let bar = StageBar::start("judge", count);
        bar.say(if subject == Subject::Note { "notes" } else { "answers" });
        let mut judged = Vec::new();
        let mut take = |_, one: Judged| {
            judged.push(one);
            bar.set(judged.len() as u64);
            Ok(())
        };
        let (mut unreadable, mut ids) = (None, Vec::new());
        let readable = exhibits.map_while(|exhibit| match exhibit {
            Ok(exhibit) => {
                ids.push(exhibit.0.clone());
                Some(exhibit)
            }
            Err(error) => {
                unreadable = Some(error);
                None
            }
        });
        let work = self.judge.rate(readable, self.rows, &mut take);
        let finished = asking::see_through(self.run, &self.chat, &bar, work);
        bar.finish();
        if let Err(failure) = finished {
            asking::close(self.run, &self.chat)?;
            return Err(failure);
        }
        if let Some(error) = unreadable {
            return Err(error.into());
        }
        for (row, judged) in ids.iter().zip(&judged) {
            match judged {
                Judged::Rated(..) => {}
                Judged::Unrated { reason, detail } => tracing::warn!(row, %reason, detail, "no rating"),
                Judged::Pending { detail } => tracing::warn!(row, detail, "pending"),
            }
        }
        Ok(judged)
    }
}
