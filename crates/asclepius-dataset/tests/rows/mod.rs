//! Rows to write: one plain of each kind, and strategies for awkward ones.
#![expect(clippy::allow_attributes, reason = "each test crate uses another part of this module")]
#![allow(dead_code)]

use asclepius_dataset::table::score_names;
use asclepius_schema::{
    Age, AgeUnit, ArticleId, CallLineage, Instruction, Licence, Note, Report, ReportId, Sex, Span, Split, Task, ids,
};
use proptest::prelude::*;

pub fn report(article: u32, n: u32, text: &str) -> Report {
    let article_id = ArticleId::from_pmcid(&article.to_string()).expect("digits");
    Report {
        patient_id: ids::patient_id(&article_id, n),
        report_id: ReportId::new(&article_id, 1, n),
        title: format!("A case ({article})"),
        report: text.to_owned(),
        age: Some(Age { value: 54.0, unit: AgeUnit::Year }),
        sex: Sex::Female,
        licence: Licence::CcBy,
        licence_url: "https://creativecommons.org/licenses/by/4.0/".to_owned(),
        attribution: format!("Someone. A case ({article}). CC BY 4.0."),
        doi: format!("10.1000/{article}"),
        pmid: String::new(),
        journal: "Journal of Cases".to_owned(),
        year: Some(2021),
        subjects: vec!["Case Report".to_owned()],
        source: format!("PMC{article}.xml"),
        section: "Case presentation".to_owned(),
        article_id,
    }
}

pub fn call(name: &str) -> CallLineage {
    CallLineage {
        prompt_hash: format!("{name}-prompt"),
        request_key: format!("{name}-key"),
        finish_reason: "stop".to_owned(),
        prompt_tokens: 310,
        completion_tokens: 42,
    }
}

pub fn note(report: &Report, text: &str) -> Note {
    Note {
        patient_id: report.patient_id,
        note: text.to_owned(),
        report_id: report.report_id.clone(),
        article_id: report.article_id.clone(),
        licence: report.licence,
        licence_url: report.licence_url.clone(),
        attribution: report.attribution.clone(),
        teacher_model: "extractive-1".to_owned(),
        split: None,
        note_call: call("note"),
        scores: Vec::new(),
    }
}

pub fn instruction(note: &Note, index: u32, question: &str, answer: &str) -> Instruction {
    Instruction {
        patient_id: note.patient_id,
        note: note.note.clone(),
        question: question.to_owned(),
        answer: answer.to_owned(),
        task: Task::Qa,
        report_id: note.report_id.clone(),
        article_id: note.article_id.clone(),
        index,
        unanswerable: false,
        licence: note.licence,
        licence_url: note.licence_url.clone(),
        attribution: note.attribution.clone(),
        teacher_model: note.teacher_model.clone(),
        split: None,
        note_call: note.note_call.clone(),
        question_call: call("question"),
        answer_call: call("answer"),
        scores: Vec::new(),
        evidence: Vec::new(),
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,40}", "[a-zà-ÿ°µ≥\n]{0,80}", Just(String::new())]
}

fn age() -> impl Strategy<Value = Option<Age>> {
    let unit = prop::sample::select(vec![AgeUnit::Year, AgeUnit::Month, AgeUnit::Week, AgeUnit::Day]);
    prop::option::of((0.0_f32..120.0, unit).prop_map(|(value, unit)| Age { value, unit }))
}

pub fn any_report() -> impl Strategy<Value = Report> {
    let sex = prop::sample::select(vec![Sex::Female, Sex::Male, Sex::Unknown]);
    let facts = (age(), sex, prop::sample::select(Licence::ALL.to_vec()), prop::option::of(1800..2100));
    (1_u32..9_999_999, 1_u32..9, text(), facts, prop::collection::vec(text(), 0..4)).prop_map(
        |(article, n, body, (age, sex, licence, year), subjects)| Report {
            age,
            sex,
            licence,
            year,
            subjects,
            ..report(article, n, &body)
        },
    )
}

fn scores() -> impl Strategy<Value = Vec<(String, f32)>> {
    prop::sample::subsequence(score_names().to_vec(), 0..=score_names().len())
        .prop_flat_map(|names| {
            let count = names.len();
            (Just(names), prop::collection::vec(0.0_f32..1.0, count))
        })
        .prop_map(|(names, scores)| names.into_iter().map(str::to_owned).zip(scores).collect())
}

fn split() -> impl Strategy<Value = Option<Split>> {
    prop::option::of(prop::sample::select(vec![Split::Train, Split::Validation]))
}

pub fn any_note() -> impl Strategy<Value = Note> {
    (any_report(), text(), split(), scores(), any::<i32>()).prop_map(|(report, text, split, scores, tokens)| {
        let mut note = Note { split, scores, ..note(&report, &text) };
        note.note_call.prompt_tokens = tokens;
        note
    })
}

pub fn any_instruction() -> impl Strategy<Value = Instruction> {
    let task = prop::sample::select(Task::ALL.to_vec());
    let span = (any::<u32>(), any::<u32>()).prop_map(|(start, end)| Span { start, end });
    let evidence = prop::collection::vec(span, 0..4);
    (any_note(), 0_u32..9, text(), text(), task, any::<bool>(), evidence).prop_map(
        |(note, index, question, answer, task, unanswerable, evidence)| Instruction {
            task,
            unanswerable,
            evidence,
            split: note.split,
            scores: note.scores.clone(),
            ..instruction(&note, index, &question, &answer)
        },
    )
}
