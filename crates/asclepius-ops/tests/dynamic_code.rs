//! The code books against the ones that `tools/dynamic_codes.py` took from bitsandbytes.

use std::collections::BTreeMap;

use asclepius_ops::dynamic_code::{SIGNED, UNSIGNED};

#[test]
fn both_books_are_those_of_bitsandbytes() {
    let golden: BTreeMap<String, Vec<f32>> =
        serde_json::from_str(include_str!("golden/dynamic_codes.json")).expect("the generator writes this shape");
    for (name, book) in [("signed", &*SIGNED), ("unsigned", &*UNSIGNED)] {
        let expected = &golden[name];
        assert_eq!(expected.len(), 256);
        for (code, (found, expected)) in book.values().iter().zip(expected).enumerate() {
            // PyTorch's linspace, which theirs is made with, rounds a little differently for each width of vectors.
            assert!(
                (found - expected).abs() <= 4.0 * expected.abs() * f32::EPSILON,
                "{name} {code}: {found} {expected}"
            );
        }
    }
}
