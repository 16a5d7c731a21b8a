//! The closed lists of words that deny, end or narrow a denial, and the roles that a word has by them.

use std::ops::{BitOr, BitOrAssign};
use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// Deny what follows.
const DENY_AFTER: &[&str] = &[
    "no", "without", "denied", "denies", "denying", "deny", "absence", "nor", "neither", "lack", "lacked", "lacks",
    "nil", "refused", "declined", "nothing", "nobody", "devoid", "none",
];
/// Deny the phrase they stand in.
const DENY_AROUND: &[&str] = &[
    "not",
    "never",
    "cannot",
    "unable",
    "inability",
    "didn",
    "wasn",
    "couldn",
    "isn",
    "weren",
    "hadn",
    "doesn",
    "hasn",
    "haven",
    "don",
    "aren",
];
/// Deny what stands before them.
const DENY_BEFORE: &[&str] = &["absent", "excluded", "avoided"];
/// Leave open whether what follows is done.
const OPEN_AFTER: &[&str] = &[
    "stopped",
    "ceased",
    "failed",
    "ran",
    "off",
    "avoid",
    "avoiding",
    "avoidance",
    "refrain",
    "against",
    "unless",
    "whether",
    "if",
    "exclude",
    "excluding",
    "hardly",
    "barely",
    "scarcely",
];
/// Leave open with "for" whether there is what was looked for.
const OPEN_WITH_FOR: &[&str] = &[
    "look",
    "looked",
    "looking",
    "search",
    "searched",
    "searching",
    "screen",
    "screened",
    "screening",
    "evaluate",
    "evaluated",
    "assess",
    "assessed",
    "check",
    "checked",
    "tested",
    "examined",
    "watched",
    "monitored",
];
/// Deny what a following word ("of", "for", "out") names.
pub const DENY_WITH: &[(&str, &str)] = &[
    ("negative", "for"),
    ("free", "of"),
    ("ruled", "out"),
    ("rule", "out"),
    ("none", "of"),
    ("instead", "of"),
    ("clear", "of"),
    ("rather", "than"),
    ("failed", "to"),
    ("impossible", "to"),
];
/// Tell how a test came out.
const RESULTS: &[&str] = &["negative", "undetectable", "positive", "free", "non"];
/// End the reach of what denies.
const ENDS: &[&str] = &[
    "showed",
    "revealed",
    "was",
    "were",
    "is",
    "are",
    "had",
    "has",
    "presented",
    "developed",
    "demonstrated",
    "underwent",
    "received",
    "reported",
    "after",
    "until",
    "then",
    "started",
    "did",
    "remained",
    "became",
    "despite",
    "followed",
    "complained",
    "took",
    "came",
    "went",
    "gave",
    "felt",
    "as",
    "because",
    "so",
    "since",
];
/// Verbs that say whether something was there or done: "heparin was not given" denies the heparin.
const THERE: &[&str] = &[
    "occur",
    "occurred",
    "develop",
    "arise",
    "appear",
    "used",
    "given",
    "required",
    "needed",
    "performed",
    "done",
    "found",
    "seen",
    "detected",
    "present",
    "identified",
    "noted",
    "observed",
    "started",
    "implanted",
    "received",
    "available",
    "administered",
    "necessary",
    "recorded",
    "reported",
    "visible",
    "palpable",
    "heard",
    "obtained",
    "measured",
    "tested",
    "indicated",
    "prescribed",
    "undertaken",
    "repeated",
    "made",
    "placed",
    "inserted",
    "attempted",
    "fitted",
    "offered",
    "taken",
    "felt",
];
/// Begin where or when something is not, of which nothing is said.
const PLACES: &[&str] = &["on", "in", "at", "during", "between", "by", "from", "when", "within", "inside"];
/// Narrow what is denied: "no further bleeding" tells of bleeding.
const NARROWING: &[&str] = &[
    "family",
    "familial",
    "relative",
    "relatives",
    "maternal",
    "paternal",
    "mother",
    "father",
    "brother",
    "sister",
    "further",
    "prior",
    "previous",
    "previously",
    "other",
    "recurrent",
    "new",
    "residual",
    "ongoing",
    "active",
    "significant",
    "earlier",
    "past",
    "more",
    "additional",
    "another",
    "longer",
    "only",
    "obvious",
    "definite",
    "major",
    "marked",
    "acute",
    "regular",
    "sustained",
    "second",
    "subsequent",
    "specific",
    "clear",
    "gross",
    "overt",
    "evident",
    "usual",
    "large",
    "oral",
    "systemic",
    "intravenous",
    "topical",
    "inhaled",
    "local",
];
/// Words that the reach of a denial says nothing about.
const GRAMMAR: &[&str] = &[
    "the",
    "and",
    "was",
    "were",
    "with",
    "for",
    "had",
    "has",
    "have",
    "been",
    "his",
    "her",
    "she",
    "any",
    "that",
    "this",
    "from",
    "are",
    "did",
    "does",
    "but",
    "which",
    "who",
    "there",
    "their",
    "other",
    "than",
    "into",
    "upon",
    "patient",
    "evidence",
    "sign",
    "signs",
    "further",
    "also",
    "both",
    "such",
    "all",
    "due",
    "would",
    "could",
    "will",
    "may",
    "can",
    "its",
    "they",
    "history",
    "about",
    "after",
    "before",
    "during",
    "over",
    "under",
    "while",
    "when",
    "then",
    "only",
    "very",
    "showed",
    "revealed",
    "reported",
    "presented",
    "because",
    "since",
    "until",
    "day",
    "days",
    "week",
    "weeks",
    "month",
    "months",
    "year",
    "years",
    "hour",
    "hours",
    "left",
    "right",
    "noted",
    "positive",
    "negative",
    "note",
    "known",
    "case",
    "time",
    "well",
    "still",
    "yet",
    "change",
    "changes",
    "difference",
];

/// Which of the lists above hold a word: looked up once, when the word is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u16);

impl Roles {
    pub const DENIES_AFTER: Self = Self(1);
    pub const DENIES_AROUND: Self = Self(1 << 1);
    pub const DENIES_BEFORE: Self = Self(1 << 2);
    pub const OPENS: Self = Self(1 << 3);
    /// Denies with the word behind it, or tells how a test came out.
    pub const MAY_DENY: Self = Self(1 << 4);
    pub const ENDS: Self = Self(1 << 5);
    pub const THERE: Self = Self(1 << 6);
    pub const NARROWS: Self = Self(1 << 7);
    pub const GRAMMAR: Self = Self(1 << 8);
    pub const PLACES: Self = Self(1 << 9);
    pub const OPENS_WITH_FOR: Self = Self(1 << 10);
    pub const CUE: Self = Self(Self::DENIES_AFTER.0 | Self::DENIES_AROUND.0 | Self::DENIES_BEFORE.0);
    /// All that changes what a sentence says of the words around.
    pub const TURNS: Self = Self(Self::CUE.0 | Self::OPENS.0 | Self::OPENS_WITH_FOR.0 | Self::MAY_DENY.0);

    /// The roles of a word in lower case.
    pub fn of(word: &str) -> Self {
        ROLES.get(word).copied().unwrap_or_default()
    }

    pub fn is_cue(self) -> bool {
        self.any(Self::CUE)
    }

    pub fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
}

impl BitOr for Roles {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Roles {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

static ROLES: LazyLock<FxHashMap<&str, Roles>> = LazyLock::new(|| {
    let with: Vec<&str> = DENY_WITH.iter().map(|(first, _)| *first).chain(RESULTS.iter().copied()).collect();
    let lists = [
        (Roles::DENIES_AFTER, DENY_AFTER),
        (Roles::DENIES_AROUND, DENY_AROUND),
        (Roles::DENIES_BEFORE, DENY_BEFORE),
        (Roles::OPENS, OPEN_AFTER),
        (Roles::OPENS_WITH_FOR, OPEN_WITH_FOR),
        (Roles::MAY_DENY, with.as_slice()),
        (Roles::ENDS, ENDS),
        (Roles::THERE, THERE),
        (Roles::NARROWS, NARROWING),
        (Roles::GRAMMAR, GRAMMAR),
        (Roles::PLACES, PLACES),
    ];
    let mut roles: FxHashMap<&str, Roles> = FxHashMap::default();
    for (role, list) in lists {
        for &word in list {
            *roles.entry(word).or_default() |= role;
        }
    }
    roles
});
