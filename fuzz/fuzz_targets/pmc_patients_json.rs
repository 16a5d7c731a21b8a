//! The PMC-Patients table as JSON (version 2).
#![no_main]

use asclepius_corpus::SourceKind;
use asclepius_fuzz::reports;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    reports(SourceKind::PmcPatientsJson, bytes);
});
