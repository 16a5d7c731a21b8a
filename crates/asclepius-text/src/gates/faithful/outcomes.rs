//! Words that tell how something came out or how it is, and which of them speak against each other.

use super::reading::Word;

/// What a pair of opposite states is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Colour,
    Consciousness,
    Course,
    Function,
    Integrity,
    Malignancy,
    Moisture,
    Patency,
    Position,
    Presence,
    Pupils,
    Size,
    Stiffness,
    Symptoms,
    Tenderness,
    Treatment,
}

/// How something came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Positive,
    Negative,
    Up,
    Down,
    Normal,
    Abnormal,
    Better,
    Worse,
    /// One of two states of which this one is the sound one, or is wanted.
    Well(About),
    Ill(About),
}

impl Outcome {
    pub fn of(word: &str) -> Option<Self> {
        use About::{
            Colour, Consciousness, Course, Function, Integrity, Malignancy, Moisture, Patency, Position, Presence,
            Pupils, Size, Stiffness, Symptoms, Tenderness, Treatment,
        };
        Some(match word {
            "positive" | "positively" | "detectable" | "pos" | "grew" | "grown" | "reactive" => Self::Positive,
            "negative" | "negatively" | "undetectable" | "undetected" | "neg" | "sterile" | "nonreactive" => {
                Self::Negative
            }
            "elevated" | "raised" | "raized" | "high" | "higher" | "increased" | "increasing" | "rose" | "rising"
            | "risen" | "increase" | "elevation" => Self::Up,
            "low" | "lower" | "decreased" | "decreasing" | "reduced" | "fell" | "falling" | "fallen" | "dropped"
            | "decrease" | "fall" | "reduction" | "declined" | "drop" | "decline" => Self::Down,
            "normal" | "unremarkable" | "intact" | "clear" | "satisfactory" | "unaffected" | "healthy"
            | "normalized" | "unrewarding" => Self::Normal,
            "abnormal" | "deranged" => Self::Abnormal,
            "improved" | "improving" | "better" | "improvement" | "fading" | "faded" => Self::Better,
            "worse" | "worsened" | "worsening" | "deteriorated" | "deteriorating" | "deterioration" | "growing"
            | "progressing" | "progressed" | "spreading" => Self::Worse,
            "red" | "injected" | "hyperemic" | "congested" | "inflamed" | "erythematous" | "reddened" | "redness"
            | "erythema" => Self::Ill(Colour),
            "conscious" | "awake" => Self::Well(Consciousness),
            "unconscious" | "comatose" | "unresponsive" | "unrousable" => Self::Ill(Consciousness),
            "stable" | "unchanged" | "static" => Self::Well(Course),
            "good" | "preserved" => Self::Well(Function),
            "poor" | "impaired" | "slurred" | "weak" | "loss" | "lost" => Self::Ill(Function),
            "healed" | "firm" => Self::Well(Integrity),
            "ulcerated" | "ruptured" | "perforated" | "loose" | "torn" | "numb" | "numbness" => Self::Ill(Integrity),
            "benign" => Self::Well(Malignancy),
            "malignant" | "malignancy" | "cancerous" => Self::Ill(Malignancy),
            "moist" => Self::Well(Moisture),
            "dry" => Self::Ill(Moisture),
            "patent" | "recanalized" | "unobstructed" => Self::Well(Patency),
            "occluded" | "blocked" | "thrombosed" | "obstructed" | "stenosed" | "stenotic" | "narrowed" => {
                Self::Ill(Patency)
            }
            "central" | "midline" | "undisplaced" | "nondisplaced" => Self::Well(Position),
            "deviated" | "displaced" | "shifted" => Self::Ill(Position),
            "present" | "brisk" | "exaggerated" => Self::Well(Presence),
            "absent" => Self::Ill(Presence),
            "fixed" | "sluggish" => Self::Ill(Pupils),
            "flat" => Self::Well(Size),
            "enlarged" | "swollen" | "dilated" | "distended" | "bulging" | "swelling" | "enlargement"
            | "dilatation" | "dilation" | "distension" => Self::Ill(Size),
            "supple" => Self::Well(Stiffness),
            "stiff" | "rigid" | "stiffness" | "rigidity" => Self::Ill(Stiffness),
            "asymptomatic" => Self::Well(Symptoms),
            "symptomatic" | "symptoms" => Self::Ill(Symptoms),
            "nontender" => Self::Well(Tenderness),
            "tender" | "tenderness" => Self::Ill(Tenderness),
            "continued" => Self::Well(Treatment),
            "held" | "withheld" | "stopped" | "discontinued" | "suspended" => Self::Ill(Treatment),
            _ => return None,
        })
    }

    /// What a word is said to be where it is denied; nothing where that tells nothing.
    pub fn denied(self) -> Option<Self> {
        match self {
            Self::Positive => Some(Self::Negative),
            // "Not raised" is no rise, and tells no fall.
            Self::Up | Self::Down | Self::Abnormal => Some(Self::Normal),
            Self::Ill(about) => Some(Self::Well(about)),
            Self::Well(About::Presence | About::Consciousness) => match self {
                Self::Well(about) => Some(Self::Ill(about)),
                _ => None,
            },
            _ => None,
        }
    }

    pub fn is_opposed(self, other: Self) -> bool {
        use Outcome::{Abnormal, Better, Down, Ill, Negative, Normal, Positive, Up, Well, Worse};
        matches!(
            (self, other),
            (Positive | Well(About::Presence), Negative)
                | (Negative | Ill(About::Presence), Positive)
                | (Negative, Well(About::Presence))
                | (Positive, Ill(About::Presence))
                | (Up, Down | Normal)
                | (Down, Up | Normal)
                | (Normal, Abnormal | Up | Down)
                | (Abnormal, Normal)
                | (Better | Well(About::Course), Worse)
                | (Worse, Better | Well(About::Course))
        ) || match (self, other) {
            (Well(one), Ill(other)) | (Ill(one), Well(other)) => one == other,
            (Normal, Ill(about)) | (Ill(about), Normal) => {
                matches!(about, About::Colour | About::Function | About::Integrity | About::Patency | About::Size)
            }
            _ => false,
        }
    }

    /// Whether the other one, though not the same word's, says nothing against this one.
    pub fn agrees(self, other: Self) -> bool {
        use Outcome::{Ill, Normal, Well};
        self == other
            || matches!((self, other), (Normal, Well(_)) | (Well(_), Normal))
            || matches!(
                (self, other),
                (Well(About::Presence), Self::Positive)
                    | (Self::Positive, Well(About::Presence))
                    | (Ill(About::Presence), Self::Negative)
                    | (Self::Negative, Ill(About::Presence))
            )
    }

    /// Said of a list as often as of one thing.
    pub fn closes_lists(self) -> bool {
        matches!(self, Self::Positive | Self::Negative | Self::Normal | Self::Abnormal)
    }

    /// Told by words that have other meanings as often, so that only what stands right there is said to be so.
    pub fn is_near(self) -> bool {
        matches!(self, Self::Well(_) | Self::Ill(_))
    }
}

/// Whether the word is part of a name: "Gram-negative", "low-dose", "dry cough", "white cells".
pub(super) fn names(before: &str, word: &str, next: &str) -> bool {
    matches!(before, "gram" | "central" | "c")
        || matches!(
            next,
            "saline"
                | "grade"
                | "birefringent"
                | "birefringence"
                | "pressure"
                | "margin"
                | "voltage"
                | "power"
                | "resolution"
                | "density"
                | "normal"
                | "sensitivity"
                | "output"
                | "birth"
                | "fat"
                | "calorie"
                | "threshold"
                | "risk"
                | "dose"
                | "flow"
                | "dependency"
                | "molecular"
                | "back"
                | "lying"
                | "mood"
                | "flap"
                | "altitude"
                | "cell"
                | "cells"
                | "frequency"
                | "residual"
                | "index"
                | "protein"
                | "oxygen"
                | "venous"
                | "vision"
                | "nervous"
                | "line"
                | "care"
                | "pigmentation"
        )
        // "Raised the possibility", "a wall that held follicles", and what is normal but for what was told.
        || (word.starts_with("rai") && matches!(next, "the" | "a" | "suspicion" | "concern" | "concerns" | "questions"))
        || (word == "held" && !matches!(next, "" | "on" | "for" | "because" | "until" | "due" | "given" | "and" | "in" | "at" | "while"))
        || matches!(before, "otherwise" | "else" | "remaining")
        || (word == "reactive" && matches!(before, "pupils" | "pupil" | "equal" | "mm" | "and"))
}

/// "Grew nothing" and "no growth" are negative, "no lesion" is normal.
pub(super) fn of_growth(words: &[Word], at: usize, denied: bool) -> Option<Outcome> {
    let next = |steps: usize| words.get(at + steps).map_or("", |word| word.text.as_str());
    match words[at].text.as_str() {
        "grew" | "grown" if matches!(next(1), "nothing" | "no") => Some(Outcome::Negative),
        "detected" => Some(if denied { Outcome::Negative } else { Outcome::Positive }),
        "growth" if denied => Some(Outcome::Negative),
        "lesion" | "lesions" | "abnormality" | "abnormalities" if denied => Some(Outcome::Normal),
        _ => None,
    }
}
