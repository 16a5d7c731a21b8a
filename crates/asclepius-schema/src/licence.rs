//! The licence classes an article can carry.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Creative Commons class, without its version. Everything that is not plainly one of these is no licence at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Licence {
    /// Public domain dedication.
    #[serde(rename = "CC0")]
    Cc0,
    /// Attribution.
    #[serde(rename = "CC BY")]
    CcBy,
    /// Attribution, share alike.
    #[serde(rename = "CC BY-SA")]
    CcBySa,
    /// Attribution, no derivatives.
    #[serde(rename = "CC BY-ND")]
    CcByNd,
    /// Attribution, non-commercial.
    #[serde(rename = "CC BY-NC")]
    CcByNc,
    /// Attribution, non-commercial, share alike.
    #[serde(rename = "CC BY-NC-SA")]
    CcByNcSa,
    /// Attribution, non-commercial, no derivatives.
    #[serde(rename = "CC BY-NC-ND")]
    CcByNcNd,
}

impl Licence {
    /// Every class, most permissive first.
    pub const ALL: [Self; 7] =
        [Self::Cc0, Self::CcBy, Self::CcBySa, Self::CcByNd, Self::CcByNc, Self::CcByNcSa, Self::CcByNcNd];

    /// The class's usual short name, as configuration and the `licence` column write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cc0 => "CC0",
            Self::CcBy => "CC BY",
            Self::CcBySa => "CC BY-SA",
            Self::CcByNd => "CC BY-ND",
            Self::CcByNc => "CC BY-NC",
            Self::CcByNcSa => "CC BY-NC-SA",
            Self::CcByNcNd => "CC BY-NC-ND",
        }
    }

    /// The class with this short name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|licence| licence.name() == name)
    }
}

impl fmt::Display for Licence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
