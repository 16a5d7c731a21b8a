//! PubMed Central articles in, case reports out: one record a patient, and a reason for every article left out.
//!
//! - [`config`]: the `[corpus]` table.
//! - [`source`]: which files are read, in which order.
//! - [`ingest`]: the pass over them; every article gets exactly one [`Outcome`].
//! - `xml`: articles as small element trees, streamed out of one reader; nothing is ever fetched.
//! - `article`: what JATS says, under our own names.
//! - `prose`: paragraphs as text: citations and figure references taken out, inline markup read through.
//! - `licence`, `standing`, `human`, `language`: the gates, each a pure function over an article.
//! - `headings`, `narrative`, `patients`: where the case is, and where one patient ends and the next begins.
//! - [`demographics`]: age and sex as stated.
//! - `pmc_patients`: the published table as a second kind of source.
//!
//! Absent on purpose: fetching, tables as text, near duplicates.

mod article;
pub mod config;
pub mod demographics;
mod error;
mod headings;
mod human;
pub mod ingest;
mod language;
mod licence;
mod narrative;
mod patients;
mod pmc_patients;
mod prose;
pub mod source;
mod standing;
mod xml;

pub use config::CorpusConfig;
pub use error::CorpusError;
pub use ingest::{Outcome, fingerprint_inputs, ingest};
pub use source::{Source, SourceKind, sources};
