//! Ids and loss mask, as a person can check them: what is between [ and ] is what the model is asked to say.

mod rows;

use asclepius_dataset::{
    Document, Order, Packing, Plan, PlanConfig, TextRow, Tokenised, pretrain_documents, sft_documents,
};
use asclepius_schema::Reason;
use asclepius_text::{InstructionTemplate, TextTokenizer};

fn tokenizer() -> TextTokenizer {
    let texts = ["CC: fever, cough. 54 yo F, T 38.5, cough x 3 d.", "What is the temperature? It is 38.5 degrees."];
    TextTokenizer::train_bpe(texts.into_iter(), 300, &asclepius_text::SpecialNames::default()).expect("trainable")
}

fn text(id: &str, text: &str) -> TextRow {
    TextRow { id: id.to_owned(), text: text.to_owned() }
}

fn pretrain<R>(texts: R, sequence_length: usize, packing: Packing) -> Tokenised
where
    R: IntoIterator<Item = TextRow, IntoIter: Send>,
{
    pretrain_documents(texts.into_iter().map(Ok), &tokenizer(), sequence_length, packing).expect("texts")
}

/// The document's text with special tokens spelt out and supervised stretches in brackets.
fn marked(tokenizer: &TextTokenizer, document: &Document) -> String {
    let mut marked = String::new();
    let mut start = 0;
    for end in 1..=document.len() {
        if end == document.len() || document.supervised[end] != document.supervised[start] {
            let text = tokenizer.decode_with_specials(&document.ids[start..end]);
            let (open, close) = if document.supervised[start] { ("[", "]") } else { ("", "") };
            marked.extend([open, &text, close]);
            start = end;
        }
    }
    marked
}

#[test]
fn pre_training_asks_for_all_but_the_first_token() {
    let tokenizer = tokenizer();
    let all = pretrain([text("a", "CC: fever.")], 64, Packing::Documents);
    assert_eq!(marked(&tokenizer, &all.documents[0]), "<|bos|>[CC: fever.<|eos|>]");
    let stream = pretrain([text("a", "CC: fever.")], 4, Packing::Stream);
    assert_eq!(marked(&tokenizer, &stream.documents[0]), "[<|bos|>CC: fever.<|eos|>]");
}

#[test]
fn a_special_token_spelt_in_a_note_stays_text() {
    let tokenizer = tokenizer();
    let note = "end <|eos|> of <|bos|> note";
    let all = pretrain([text("a", note)], 99, Packing::Documents);
    let ids = &all.documents[0].ids;
    assert_eq!(ids.iter().filter(|&&id| Some(id) == tokenizer.eos() || Some(id) == tokenizer.bos()).count(), 2);
    assert_eq!(tokenizer.decode(ids), note);
}

#[test]
fn a_long_text_is_split_without_losing_a_token() {
    let long = "CC: fever, cough. ".repeat(40);
    let whole = pretrain([text("a", &long)], 100_000, Packing::Documents);
    let pieces = pretrain([text("a", &long)], 16, Packing::Documents);
    assert_eq!((whole.tally.split, pieces.tally.split, pieces.tally.rows), (0, 1, 1));
    let joined: Vec<u32> = pieces.documents.iter().flat_map(|piece| piece.ids.clone()).collect();
    assert_eq!(joined, whole.documents[0].ids);
    assert_eq!(pieces.documents[1].id, "a#2");
    assert!(pieces.documents.iter().all(|piece| (2..=16).contains(&piece.len()) && !piece.supervised[0]));
}

#[test]
fn instruction_tuning_asks_for_the_answer_and_its_end_only() {
    let tokenizer = tokenizer();
    let note = rows::note(&rows::report(1, 1, ""), "CC: fever, T 38.5.");
    let row = rows::instruction(&note, 0, "What is the temperature?", "It is 38.5 degrees.");
    let all = sft_documents([Ok(row)], &tokenizer, &InstructionTemplate::asclepius(), 512).expect("it fits");
    let marked = marked(&tokenizer, &all.documents[0]);
    let expected = "\n\n### Note\nCC: fever, T 38.5.\n\n### Instruction\nWhat is the temperature?\n\n### Answer\n\
        [It is 38.5 degrees.<|eos|>]";
    assert!(marked.ends_with(expected), "{marked}");
    assert_eq!((marked.matches('[').count(), marked.matches("<|bos|>").count()), (1, 1), "{marked}");
    assert!(marked.starts_with("<|bos|>"), "{marked}");
    assert_eq!(all.tally.shortened, 0);

    // And as the loss sees it: the answer's first token is asked for, at the prompt's last.
    let config = PlanConfig {
        sequence_length: 512,
        packing: Packing::Documents,
        micro_batch: 1,
        global_batch: 1,
        order: Order::AsGiven,
    };
    let batch = Plan::new(all.documents, config).expect("it fits").batch(0, 0);
    let (rows, labels) = batch.targets();
    assert_eq!(tokenizer.decode_with_specials(&labels), "It is 38.5 degrees.<|eos|>");
    assert!(tokenizer.decode_with_specials(&batch.ids[..=rows[0] as usize]).ends_with("### Answer\n"));
}

#[test]
fn a_row_too_long_loses_the_end_of_its_note_and_never_its_answer() {
    let tokenizer = tokenizer();
    let note = rows::note(&rows::report(1, 1, ""), &"CC: fever, cough x 3 d. ".repeat(60));
    let row = rows::instruction(&note, 0, "What is the temperature?", "It is 38.5 degrees.");
    let template = InstructionTemplate::asclepius();
    let empty = rows::instruction(&rows::note(&rows::report(1, 1, ""), ""), 0, &row.question, &row.answer);
    let least = sft_documents([Ok(empty)], &tokenizer, &template, 4096).expect("it fits").documents[0].len();
    let all = sft_documents([Ok(row.clone())], &tokenizer, &template, least + 40).expect("shortened");
    assert_eq!(all.tally.shortened, 1);
    assert!(all.documents[0].len() <= least + 40);
    assert!(marked(&tokenizer, &all.documents[0]).ends_with("It is 38.5 degrees.<|eos|>]"));
    let none = sft_documents([Ok(row)], &tokenizer, &template, least - 1).expect("left out, not an error");
    assert_eq!((none.tally.rows, none.documents.len(), none.tally.dropped.len()), (1, 0, 1));
    assert_eq!((none.tally.dropped[0].id.as_str(), none.tally.dropped[0].reason), ("PMC1.1-1#0", Reason::TooLong));
}

#[test]
fn a_row_that_would_train_nothing_is_named() {
    let error =
        pretrain_documents([Ok(text("PMC9.1-1", ""))], &tokenizer(), 64, Packing::Documents).expect_err("no text");
    assert!(error.to_string().contains("PMC9.1-1"), "{error}");
}

#[test]
fn a_batch_never_asks_for_the_first_token_of_a_document() {
    let tokenizer = tokenizer();
    let texts = (0..9).map(|n| text(&format!("row-{n}"), &"fever, ".repeat(n + 1)));
    let all = pretrain(texts, 64, Packing::Documents);
    let config = PlanConfig {
        sequence_length: 64,
        packing: Packing::Documents,
        micro_batch: 2,
        global_batch: 2,
        order: Order::Shuffled { seed: 1 },
    };
    let expected: usize = all.documents.iter().map(|document| document.len() - 1).sum();
    let plan = Plan::new(all.documents, config).expect("short enough");
    let batches: Vec<_> = plan.first_epoch().collect();
    assert!(batches.iter().flat_map(|batch| &batch.labels).all(|&label| label.is_none() || label != tokenizer.bos()));
    assert_eq!(batches.iter().map(|batch| batch.supervised).sum::<usize>(), expected);
}
