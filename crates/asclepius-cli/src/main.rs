//! The asclepius binary.
fn main() {}
