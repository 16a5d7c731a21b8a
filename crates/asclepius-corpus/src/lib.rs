//! PubMed Central articles in, case reports out: one record a patient, and a reason for every article left out.
//!
//! - [`config`]: the `[corpus]` table.
//! - [`source`]: which files are read, in which order.
//! - [`ingest`]: the pass over them; every article gets exactly one [`Outcome`].
//! - `encoding`, `split`, `xml`: a file as UTF-8, cut into articles, and one article as a flat tape of its elements;
//!   nothing is ever fetched.
//! - `judge`: every gate over one article; `seen`, `near`, `evaluation`: those that look at others.
//! - `archive`: what PubMed Central files beside an article: metadata, old file lists.
//! - `article`: what JATS says, under our own names.
//! - `prose`: paragraphs as text: citations and figure references taken out, inline markup read through.
//! - `licence`, `standing`, `human`, `language`: the gates, each a pure function over an article.
//! - `headings`, `narrative`, `patients`: where the case is, and where one patient ends and the next begins.
//! - `floats`, `tables`: which patient a table or figure is about, and both as text of their own.
//! - `sub_articles`: what is printed inside an article, told apart and never read.
//! - [`fetch`]: articles from the public bucket, over HTTP; the only part that waits for anything.
//! - [`demographics`]: age and sex as stated.
//! - [`figures`], `specialty`: what was admitted, counted: licences, years, specialties, ages, sexes, lengths.
//! - `pmc_patients`: the published table as a second kind of source.
//!

mod archive;
mod article;
pub mod config;
pub mod demographics;
mod encoding;
mod error;
mod evaluation;
pub mod fetch;
pub mod figures;
mod floats;
mod headings;
mod human;
pub mod ingest;
mod judge;
mod language;
mod licence;
mod marks;
mod narrative;
mod patients;
mod pattern;
mod pmc_patients;
mod prose;
mod seen;
pub mod source;
mod specialty;
mod split;
mod standing;
mod sub_articles;
mod tables;
mod xml;

pub use config::CorpusConfig;
pub use error::CorpusError;
pub use ingest::{Outcome, fingerprint_inputs, ingest, ingest_reader, ingest_small};
pub use judge::read_only;
pub use source::{Source, SourceKind, sources};
