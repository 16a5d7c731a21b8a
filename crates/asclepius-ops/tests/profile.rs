//! A recording is the whole process's: this file is one of its own, so that no other test's products are in it.

use asclepius_ops::profile::{Kind, span, start, stop};
use candle_core::Device;

#[test]
fn spans_are_there_in_order_with_what_encloses_them() {
    drop(span(Kind::Norm, "before"));
    start(&Device::Cpu);
    {
        let _step = span(Kind::Step, "step");
        drop(span(Kind::Product, "linear"));
        let _attention = span(Kind::Attention, "attention");
        drop(span(Kind::Product, "scores"));
    }
    let _open = span(Kind::Data, "never ended");
    let spans = stop();
    let seen: Vec<_> = spans.iter().map(|span| (span.kind, span.name, span.depth)).collect();
    assert_eq!(
        seen,
        [
            (Kind::Step, "step", 0),
            (Kind::Product, "linear", 1),
            (Kind::Attention, "attention", 1),
            (Kind::Product, "scores", 2),
        ]
    );
    let step = spans[0];
    for inner in &spans[1..] {
        assert!(inner.begin >= step.begin && inner.begin + inner.seconds <= step.begin + step.seconds, "{spans:?}");
    }
    assert!(stop().is_empty(), "it is over");
}
