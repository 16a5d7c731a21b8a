//! What every model is asked: the rows held out, how answers are drawn, and examples for a base that is shown some.

use asclepius_eval::{
    Asking, BATCH, Candidate, EvalError, Examples, HeldOutSets, Lengths, ModelOutcome, Prediction, Question, answers,
    sets,
};
use asclepius_train::TrainConfig;

use super::held_out;
use super::tested::Tested;
use crate::failure::{Failure, Outcome};
use crate::progress::StageBar;
use crate::run::Run;

/// What every model is asked, and how.
pub struct Held {
    pub sets: HeldOutSets,
    pub questions: Vec<Question>,
    pub asking: Asking,
    lengths: Lengths,
    examples: Option<Examples>,
}

impl Held {
    /// Reads what the configuration names.
    pub fn gather(run: &Run) -> Outcome<Self> {
        let config = &run.config().eval;
        let (notes, instructions) =
            (held_out(run, "notes-validation.parquet")?, held_out(run, "instructions-validation.parquet")?);
        let sets = HeldOutSets::load(&notes, &instructions, &config.sets, config.general.as_deref());
        let sets = sets.map_err(|error| match error {
            EvalError::Config { .. } => Failure::usage(error),
            other => Failure::from(other),
        })?;
        let length = |table: &Option<TrainConfig>| table.as_ref().map_or(usize::MAX, |table| table.sequence_length);
        let questions = sets.questions(config.questions);
        let seed = config.seed.unwrap_or(run.config().seed);
        let mut examples = None;
        if config.shots > 0 {
            let path = held_out(run, "instructions-train.parquet")?;
            let rows = asclepius_dataset::read_instructions_any(&path)?;
            examples = Some(Examples::read(seed, config.shots, rows, &questions, &path)?);
        }
        let asking =
            Asking { max_tokens: config.max_tokens, temperature: config.temperature, top_p: config.top_p, seed };
        let lengths = Lengths { notes: length(&run.config().pretrain), instructions: length(&run.config().sft) };
        Ok(Self { sets, questions, asking, lengths, examples })
    }

    /// Loss and answers of a model in memory. Behind examples only answers are asked for: the loss is the base's.
    pub fn put_to(&self, run: &Run, model: &Tested, bar: &StageBar) -> Outcome<ModelOutcome> {
        let candidate: Candidate = model.load(run)?;
        let examples = self.examples.as_ref().filter(|_| model.shots > 0);
        let losses = match examples {
            None => self.sets.losses(&candidate, self.lengths, run.config().eval.rows)?,
            Some(_) => sets::Losses::default(),
        };
        let mut predictions = Vec::with_capacity(self.questions.len());
        for questions in self.questions.chunks(BATCH) {
            run.check_interrupt()?;
            let answers = answers::answer(&candidate, questions, examples, &self.asking)?;
            let measured = questions.iter().zip(answers);
            predictions.extend(measured.map(|(question, answer)| Prediction::new(&model.name, question, answer)));
            bar.set(bar.position().0 + questions.len() as u64);
        }
        Ok(ModelOutcome::new(model.described(), predictions).with_losses(losses))
    }
}
