//! Archives: the members of a tape archive, cut into articles. It is compressed here, since a checksum that never fits
//! would keep everything behind it out of reach; the bytes as they are stand for a damaged archive.
#![no_main]

use std::io::Write;

use asclepius_corpus::SourceKind;
use asclepius_fuzz::reports;
use flate2::{Compression, write::GzEncoder};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut squeezed = GzEncoder::new(Vec::new(), Compression::none());
    squeezed.write_all(bytes).expect("memory");
    reports(SourceKind::TarGz, &squeezed.finish().expect("memory"));
    reports(SourceKind::TarGz, bytes);
});
