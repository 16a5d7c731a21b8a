//! What a trainer relies on: every token once an epoch, nothing predicted across documents, any step addressable.

use asclepius_dataset::{Batch, DatasetError, Document, Order, Packing, Plan, PlanConfig};
use proptest::prelude::*;

/// Token ids are unique over all documents, so that a batch says where each of its tokens is from.
fn documents(lengths: &[usize]) -> Vec<Document> {
    let mut next = 0_u32;
    let mut document = |(index, &length): (usize, &usize)| {
        let ids: Vec<u32> = (next..next + length as u32).collect();
        next += length as u32;
        let supervised = ids.iter().map(|id| id % 3 != 0).collect();
        Document { ids, supervised, id: format!("row-{index}") }
    };
    lengths.iter().enumerate().map(&mut document).collect()
}

fn config(packing: Packing) -> PlanConfig {
    PlanConfig { sequence_length: 16, packing, micro_batch: 2, global_batch: 4, order: Order::Shuffled { seed: 3 } }
}

fn epoch(plan: &Plan, epoch: usize) -> Vec<Batch> {
    let steps = epoch * plan.steps_per_epoch()..(epoch + 1) * plan.steps_per_epoch();
    steps.flat_map(|step| (0..plan.micro_batches(step)).map(move |micro| plan.batch(step, micro))).collect()
}

proptest! {
    #[test]
    fn an_epoch_holds_every_token_once_and_no_document_predicts_the_next(
        lengths in prop::collection::vec(2_usize..17, 1..30), which in 0_usize..3,
    ) {
        let packing = [Packing::Documents, Packing::Stream, Packing::None][which];
        let documents = documents(&lengths);
        let plan = Plan::new(documents.clone(), config(packing)).expect("short enough");
        for number in 0..2 {
            let batches = epoch(&plan, number);
            let mut ids: Vec<u32> = batches.iter().flat_map(|batch| batch.ids.clone()).collect();
            ids.sort_unstable();
            prop_assert_eq!(ids, (0..lengths.iter().sum::<usize>() as u32).collect::<Vec<_>>());
            for batch in &batches {
                prop_assert!(batch.tokens() <= batch.capacity);
                prop_assert_eq!(batch.cumulative.last().copied(), Some(batch.tokens() as u32));
                prop_assert_eq!(batch.targets().0.len(), batch.supervised);
                for pair in batch.cumulative.windows(2) {
                    let (start, end) = (pair[0] as usize, pair[1] as usize);
                    prop_assert!(start < end);
                    prop_assert_eq!(batch.labels[end - 1], None);
                    for token in start..end {
                        prop_assert_eq!(batch.positions[token], (token - start) as u32);
                        if let Some(label) = batch.labels[token] {
                            prop_assert_eq!(label, batch.ids[token + 1]);
                        }
                        if token + 1 < end {
                            prop_assert_eq!(batch.labels[token].is_some(), batch.ids[token + 1] % 3 != 0);
                        }
                    }
                    if packing != Packing::Stream {
                        let whole = documents.iter().find(|document| document.ids[0] == batch.ids[start]);
                        prop_assert_eq!(whole.map(|document| document.ids.as_slice()), Some(&batch.ids[start..end]));
                    }
                }
            }
            if packing != Packing::Stream {
                let supervised: usize = batches.iter().map(|batch| batch.supervised).sum();
                prop_assert_eq!(supervised, documents.iter().map(Document::supervised_tokens).sum::<usize>());
            }
        }
    }

    #[test]
    fn a_step_is_the_same_whoever_asks_and_whatever_was_asked_before(
        lengths in prop::collection::vec(2_usize..17, 1..30), far in 0_usize..40,
    ) {
        let walked = Plan::new(documents(&lengths), config(Packing::Documents)).expect("short enough");
        for step in 0..far {
            let _ = walked.batch(step, 0);
        }
        let fresh = Plan::new(documents(&lengths), config(Packing::Documents)).expect("short enough");
        prop_assert_eq!(walked.batch(far, 0), fresh.batch(far, 0));
    }
}

#[test]
fn epochs_differ_but_evaluation_keeps_the_given_order() {
    let lengths: Vec<usize> = (0..40).map(|index| 2 + index % 15).collect();
    let plan = Plan::new(documents(&lengths), config(Packing::Documents)).expect("short enough");
    assert_ne!(epoch(&plan, 0), epoch(&plan, 1));
    let evaluation = PlanConfig { order: Order::AsGiven, ..config(Packing::None) };
    let plan = Plan::new(documents(&lengths), evaluation).expect("short enough");
    let ids: Vec<u32> = plan.first_epoch().flat_map(|batch| batch.ids).collect();
    assert!(ids.is_sorted());
}

#[test]
fn the_longest_batch_is_the_longest() {
    let lengths: Vec<usize> = (0..23).map(|index| 2 + (index * 7) % 15).collect();
    let plan = Plan::new(documents(&lengths), config(Packing::None)).expect("short enough");
    let most = plan.first_epoch().map(|batch| batch.tokens()).max();
    assert_eq!(Some(plan.longest_batch().tokens()), most);
}

#[test]
fn what_cannot_be_packed_is_refused_by_name() {
    let plan =
        |documents: Vec<Document>, config| Plan::new(documents, config).expect_err("must be refused").to_string();
    assert!(matches!(Plan::new(Vec::new(), config(Packing::Documents)), Err(DatasetError::NoDocuments)));
    assert!(plan(documents(&[4, 17]), config(Packing::Documents)).contains("row-1"));
    let ragged = PlanConfig { global_batch: 3, ..config(Packing::Documents) };
    assert!(plan(documents(&[4]), ragged).contains("global_batch = 3"));
    let mut broken = documents(&[4]);
    broken[0].supervised.pop();
    assert!(plan(broken, config(Packing::Documents)).contains("row-0"));
}
