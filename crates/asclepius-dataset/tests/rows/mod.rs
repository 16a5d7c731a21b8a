//! Rows to write: one plain of each kind.

use asclepius_schema::{
    Age, AgeUnit, ArticleId, CallLineage, Instruction, Licence, Note, Report, ReportId, Sex, Task, ids,
};

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
        tables: vec!["Table 1\n| Test | Day 1 |\n| --- | --- |\n| Sodium | 131 |".to_owned()],
        captions: Vec::new(),
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
        judge: None,
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
        judge: None,
    }
}
