//! The article reader: encodings, cutting, the tape, the gates, the case.
#![no_main]

use asclepius_corpus::{SourceKind, read_only};
use asclepius_fuzz::reports;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Marks that the reader uses inside never come out.
    for text in read_only(bytes) {
        assert!(!text.contains(['\u{e001}', '\u{e002}']));
    }
    reports(SourceKind::Xml, bytes);
});
