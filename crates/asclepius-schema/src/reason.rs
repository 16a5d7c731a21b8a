//! Why a row was left out. One closed list for every stage, so that reports can add the counts up.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $code:literal,)*) => {
        /// A reason code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The snake_case code in `manifest.json` and `dropped.jsonl`.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

reasons! {
    /// The licence is known and its class is not among those admitted.
    LicenceNotAdmitted => "licence_not_admitted",
    /// The article's own licence statements contradict each other.
    LicenceConflict => "licence_conflict",
    /// No licence is stated, or none that can be told for sure.
    LicenceMissing => "licence_missing",
    /// The article is a retraction or was retracted.
    Retracted => "retracted",
    /// A correction or expression of concern touches the article.
    Corrected => "corrected",
    /// Something else than a case report.
    NotCaseReport => "not_case_report",
    /// The patient is an animal.
    NotHuman => "not_human",
    /// Only an abstract, or no case text inside the body.
    NoBody => "no_body",
    /// Fewer words than the gate asks for.
    TooShort => "too_short",
    /// More words than the gate allows.
    TooLong => "too_long",
    /// A translation printed with the article that it translates, and not read.
    Translation => "translation",
    /// A reply, comment, review or other article printed inside an article, and not read.
    SubArticle => "sub_article",
    /// Not in an admitted language.
    Language => "language",
    /// The same as an earlier row.
    Duplicate => "duplicate",
    /// Almost the same as an earlier row.
    NearDuplicate => "near_duplicate",
    /// Says what an earlier row says, in other words.
    SameMeaning => "same_meaning",
    /// The file is not what its name says, or is damaged.
    Unreadable => "unreadable",
    /// The note says what the report does not, or the answer what the note does not.
    Unfaithful => "unfaithful",
    /// Something that could identify a person.
    Phi => "phi",
    /// The model declined.
    Refusal => "refusal",
    /// The model speaks of itself.
    ModelTalk => "model_talk",
    /// The reply hit its token limit.
    Truncated => "truncated",
    /// The reply was empty.
    Empty => "empty",
    /// The provider's filter took the reply.
    Filtered => "filtered",
    /// The reply does not have the shape that was asked for.
    Malformed => "malformed",
    /// The provider refuses the request itself.
    RequestRejected => "request_rejected",
    /// Too much of the note is the report verbatim.
    Copied => "copied",
    /// The answer ends by asking back.
    QuestionAnswer => "question_answer",
    /// A judge model rated it too low.
    Judge => "judge",
    /// Overlaps an evaluation set.
    Contaminated => "contaminated",
    /// Its note was dropped, so nothing can be asked about it.
    NoteDropped => "note_dropped",
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}
