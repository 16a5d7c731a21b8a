//! Rows for this crate's tests.

use asclepius_schema::{ArticleId, CallLineage, Instruction, Licence, ReportId, Task};

/// A row of article `article`: an answerable question about its one note.
pub(crate) fn row(article: usize, index: u32, task: Task) -> Instruction {
    let call = CallLineage::default();
    Instruction {
        patient_id: article as i64,
        note: "65 yo M with chest pain and fever. Aspirin 100 mg for two weeks. IOP 15.".to_owned(),
        question: "Which?".to_owned(),
        answer: "- that one".to_owned(),
        task,
        report_id: ReportId::from_stored(format!("PMC{article}.1-1")),
        article_id: ArticleId::from_stored(format!("PMC{article}")),
        index,
        unanswerable: false,
        licence: Licence::CcBy,
        licence_url: String::new(),
        attribution: String::new(),
        teacher_model: "some-teacher".to_owned(),
        split: None,
        note_call: call.clone(),
        question_call: call.clone(),
        answer_call: call,
        judge: None,
        scores: Vec::new(),
        evidence: Vec::new(),
    }
}
