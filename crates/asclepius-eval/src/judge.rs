//! The method's judge (Kweon et al. 2024, section 5): a chat model sees note, question and every model's answer, in an order
//! drawn for each question and without names, and gives each an integer from 1 to 4. A reply that cannot be read is counted
//! as such and never as a rating.

use std::collections::BTreeMap;

use asclepius_llm::{Call, Client, Completion};
use asclepius_ops::PhiloxKey;
use asclepius_text::judge::objects;
use asclepius_text::{Prompt, Rating};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::EvalError;
use crate::agreement::{Agreement, Item};
use crate::answers::Question;
use crate::results::ModelOutcome;
use crate::statistics::{Bootstrap, Sample, Spread};

/// What the ledger calls these calls.
pub const STAGE: &str = "judge";

/// Name and content of the prompt.
const PROMPT: (&str, &str) = ("judge-answers.v1.jinja", include_str!("../../../data/prompts/judge-answers.v1.jinja"));

/// A reply holds one small object; models that think aloud first need room for that.
const MAX_TOKENS: u32 = 1024;

/// Calls begun at a time; the client holds back those that may not be in flight yet.
const AT_ONCE: usize = 256;

/// One model's rating for one question in one run of the judge: a line of `judgements.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The set.
    pub set: String,
    /// The row.
    pub row: String,
    /// Its article.
    pub article: String,
    /// Which run of the judge, from 0.
    pub run: usize,
    /// The model whose answer was rated.
    pub model: String,
    /// The letter the answer had.
    pub letter: String,
    /// 1 to 4; none where the reply could not be read, or there was none.
    pub rating: Option<u8>,
    /// `rated`, `unreadable`, or why there was no reply.
    pub outcome: String,
    /// The call in the ledger.
    pub request_key: Option<String>,
}

/// One model's ratings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedModel {
    /// The model.
    pub model: String,
    /// Ratings, all runs of the judge together.
    pub ratings: usize,
    /// How many 1, 2, 3 and 4 there were.
    pub counts: [usize; 4],
    /// Their mean.
    pub mean: Option<f64>,
    /// Its spread over articles.
    pub spread: Option<Spread>,
    /// The mean less the first model's.
    pub difference: Option<f64>,
    /// Its spread, both on the same draws.
    pub difference_spread: Option<Spread>,
}

/// Everything a judge said, and what it cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The judge.
    pub judge: String,
    /// US dollars; 0 without prices.
    pub cost_usd: f64,
    /// Rating by rating.
    pub judgements: Vec<Judgement>,
}

/// What the judge said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgeReport {
    /// The judge.
    pub judge: String,
    /// Hash of its prompt.
    pub prompt_hash: String,
    /// How often it was asked about each question, each time with the answers in another order.
    pub runs: usize,
    /// Replies asked for.
    pub replies: usize,
    /// Replies without a rating for every answer.
    pub unreadable: usize,
    /// Questions it gave no reply to, by reason.
    pub unanswered: BTreeMap<String, usize>,
    /// US dollars; 0 without prices.
    pub cost_usd: f64,
    /// By model, in the order of the tables.
    pub models: Vec<JudgedModel>,
    /// How far the first two runs agree (kappa with quadratic weights); none for one run.
    pub agreement: Option<Agreement>,
}

/// Asks the judge `runs` times about every question, at temperature 0. `outcomes` have their predictions in the order of
/// `questions`.
///
/// # Errors
/// When the prompt does not render, no call can be answered any more, or some are still pending.
pub async fn judge(
    client: &Client,
    questions: &[Question],
    outcomes: &[ModelOutcome],
    (seed, runs): (u64, usize),
    on_reply: impl Fn(),
) -> Result<Vec<Judgement>, EvalError> {
    let prompt = Prompt::from_source(PROMPT.0, PROMPT.1)?;
    let mut asked = Vec::with_capacity(questions.len() * runs);
    for run in 0..runs {
        for (index, question) in questions.iter().enumerate() {
            let row = question.row.row_id();
            let order = order(PhiloxKey::new(seed).fold_name("judge").fold(run as u64).fold_name(&row), outcomes.len());
            let answers: Vec<Value> = order
                .iter()
                .enumerate()
                .map(|(place, &model)| json!({ "letter": letter(place), "text": outcomes[model].predictions[index].answer.text }))
                .collect();
            let (note, asked_for) = (&question.row.note, &question.row.question);
            let messages = prompt.render(json!({ "note": note, "question": asked_for, "answers": answers }))?;
            let id = format!("{}/{row}/{run}", question.set);
            asked.push((question, run, order, Call::new(id, STAGE, messages, 0.0, MAX_TOKENS)));
        }
    }
    let on_reply = &on_reply;
    let failed = |source| EvalError::Llm { model: client.model().to_owned(), source: Box::new(source) };
    let completions: Vec<Completion> = stream::iter(asked.iter().map(|(.., call)| call))
        .map(|call| async move {
            let completion = client.complete(call).await;
            on_reply();
            completion
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
        .map_err(failed)?;
    let mut judgements = Vec::new();
    let (mut pending, mut why) = (0, String::new());
    for ((question, run, order, _), completion) in asked.iter().zip(completions) {
        let (ratings, outcome, request_key) = match completion {
            Completion::Reply(reply) => match read(&reply.text, order.len()) {
                Some(ratings) => (Some(ratings), "rated".to_owned(), Some(reply.request_key)),
                None => (None, "unreadable".to_owned(), Some(reply.request_key)),
            },
            Completion::Dropped { reason, .. } => (None, reason.code().to_owned(), None),
            Completion::Pending { detail } => {
                pending += 1;
                why = detail;
                continue;
            }
        };
        for (place, &model) in order.iter().enumerate() {
            judgements.push(Judgement {
                set: question.set.clone(),
                row: question.row.row_id(),
                article: question.row.article_id.to_string(),
                run: *run,
                model: outcomes[model].model.name.clone(),
                letter: letter(place),
                rating: ratings.as_ref().map(|ratings| ratings[place]),
                outcome: outcome.clone(),
                request_key: request_key.clone(),
            });
        }
    }
    if pending > 0 {
        let model = client.model().to_owned();
        return Err(EvalError::Pending { model, pending, questions: asked.len(), detail: why });
    }
    Ok(judgements)
}

/// What the judgements come to. The first of `models` is what the others are compared with.
pub fn report(judged: &Judged, models: &[String], bootstrap: &mut Bootstrap) -> JudgeReport {
    let Judged { judge, cost_usd, judgements } = judged;
    let runs = judgements.iter().map(|row| row.run + 1).max().unwrap_or(0);
    let first = models.first();
    let of_first = || judgements.iter().filter(|row| Some(&row.model) == first);
    let mut unanswered = BTreeMap::new();
    for row in of_first().filter(|row| row.rating.is_none() && row.outcome != "unreadable") {
        *unanswered.entry(row.outcome.clone()).or_default() += 1;
    }
    let sample = |model: &str| {
        let mut sample = Sample::default();
        for row in judgements.iter().filter(|row| row.model == model) {
            // A question without a rating still counts its article, so that pairs are drawn alike.
            sample.add(&row.article, row.rating.map_or([0.0, 0.0], |rating| [f64::from(rating), 1.0]));
        }
        sample
    };
    let base = first.map(|first| sample(first)).unwrap_or_default();
    let by_model = models.iter().map(|model| {
        let of_model = sample(model);
        let ratings: Vec<usize> =
            judgements.iter().filter(|row| row.model == *model).filter_map(|row| row.rating.map(usize::from)).collect();
        let other = Some(model) != first;
        let mean = of_model.value();
        JudgedModel {
            model: model.clone(),
            ratings: ratings.len(),
            counts: [1, 2, 3, 4].map(|rating| ratings.iter().filter(|given| **given == rating).count()),
            mean,
            spread: bootstrap.spread(&of_model),
            difference: mean.zip(base.value()).map(|(mean, base)| mean - base).filter(|_| other),
            difference_spread: if other { bootstrap.difference(&of_model, &base) } else { None },
        }
    });
    JudgeReport {
        judge: judge.clone(),
        prompt_hash: prompt_hash(),
        runs,
        replies: of_first().count(),
        unreadable: of_first().filter(|row| row.outcome == "unreadable").count(),
        unanswered,
        cost_usd: *cost_usd,
        models: by_model.collect(),
        agreement: (runs > 1).then(|| agreement(judgements)),
    }
}

/// What the ratings depend on beside the judge.
pub fn prompt_hash() -> String {
    asclepius_schema::hash_bytes(PROMPT.1.as_bytes())
}

/// The first two runs as two raters of the same answers.
fn agreement(judgements: &[Judgement]) -> Agreement {
    let mut items: BTreeMap<(&str, &str, &str), Item> = BTreeMap::new();
    for row in judgements.iter().filter(|row| row.run < 2) {
        items.entry((&row.set, &row.row, &row.model)).or_insert_with(|| vec![None; 2])[row.run] = row.rating;
    }
    Agreement::over(&items.into_values().collect::<Vec<_>>())
}

/// A permutation of `0..count` (Fisher-Yates).
fn order(key: PhiloxKey, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, key.below(last as u64, last as u32 + 1) as usize);
    }
    order
}

/// A, B, .. Z, A2, ..
fn letter(place: usize) -> String {
    let letter = char::from(b'A' + (place % 26) as u8);
    match place / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{}", round + 1),
    }
}

/// The ratings of a reply in the order of the letters: of the last JSON object that rates every answer with one of the
/// rubric's integers, be it inside another.
fn read(reply: &str, answers: usize) -> Option<Vec<u8>> {
    let ratings = |object: &Map<String, Value>| -> Option<Vec<u8>> {
        (0..answers).map(|place| Rating::of(object.get(&letter(place))?).map(Rating::get)).collect()
    };
    let of_either = |object: &Map<String, Value>| {
        ratings(object).or_else(|| object.values().rev().find_map(|inner| ratings(inner.as_object()?)))
    };
    objects(reply).iter().rev().find_map(of_either)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_rates_every_answer_or_none() {
        for (reply, ratings) in [
            ("{\"A\": 1, \"B\": 4}", Some(vec![1, 4])),
            ("First {\"A\": 2, \"B\": 2}, no: ```json\n{\"B\": 3, \"A\": 4}\n```", Some(vec![4, 3])),
            ("{\"ratings\": {\"A\": \"3/4\", \"B\": 2}}", Some(vec![3, 2])),
            ("{\"A\": 1}", None),
            ("{\"A\": 0, \"B\": 4}", None),
            ("{\"A\": 5, \"B\": 4}", None),
            ("{\"A\": 3.5, \"B\": 4}", None),
            ("{\"A\": \"good\", \"B\": 4}", None),
            ("A is better.", None),
            ("{\"A\": 1, \"B\": ", None),
        ] {
            assert_eq!(read(reply, 2), ratings, "{reply}");
        }
    }

    #[test]
    fn answers_are_shuffled_by_question_and_run() {
        let key = |run: u64, row: &str| PhiloxKey::new(7).fold_name("judge").fold(run).fold_name(row);
        let orders: std::collections::BTreeSet<_> = (0..40).map(|row| order(key(0, &row.to_string()), 3)).collect();
        assert_eq!(orders.len(), 6, "each order of three comes up");
        assert_eq!(order(key(1, "a"), 5), order(key(1, "a"), 5));
        assert!((0..40).any(|row| order(key(0, &row.to_string()), 3) != order(key(1, &row.to_string()), 3)));
        assert_eq!((letter(0), letter(25), letter(26)), ("A".to_owned(), "Z".to_owned(), "A2".to_owned()));
    }

    #[test]
    fn what_could_not_be_read_is_no_rating() {
        let judgement = |row: usize, run, model: &str, rating: Option<u8>| Judgement {
            set: "answers".to_owned(),
            row: row.to_string(),
            article: format!("PMC{row}"),
            run,
            model: model.to_owned(),
            letter: "A".to_owned(),
            rating,
            outcome: if rating.is_some() { "rated" } else { "unreadable" }.to_owned(),
            request_key: None,
        };
        let mut judgements = Vec::new();
        for row in 0..6 {
            for run in 0..2 {
                let read = (row, run) != (0, 0);
                judgements.push(judgement(row, run, "base", read.then_some(1 + (row % 2) as u8)));
                judgements.push(judgement(row, run, "tuned", read.then_some(3 + (row % 2) as u8)));
            }
        }
        let models = ["base".to_owned(), "tuned".to_owned()];
        let judged = Judged { judge: "j".to_owned(), cost_usd: 0.5, judgements };
        let report = report(&judged, &models, &mut Bootstrap::new(0, 200));
        assert_eq!((report.runs, report.replies, report.unreadable, report.unanswered.len()), (2, 12, 1, 0));
        let tuned = &report.models[1];
        assert_eq!((tuned.ratings, tuned.counts), (11, [0, 0, 5, 6]));
        assert!(tuned.difference.is_some_and(|difference| (difference - 2.0).abs() < 1e-9));
        assert!(tuned.difference_spread.is_some_and(|spread| spread.excludes_zero()));
        assert_eq!(report.models[0].difference, None);
        let agreement = report.agreement.expect("two runs");
        assert_eq!((agreement.items_compared, agreement.cohen_kappa), (10, Some(1.0)));
    }
}
