//! Under which licence a dataset can be passed on that was made from articles under several.
//!
//! Notes, questions and answers are taken for adaptations of the articles. Whether they are is for courts to say; who
//! takes them for less and is wrong has published what was not theirs to publish. Classes carry no version: the result
//! is meant in version 4.0, which the share-alike licences from 2.0 on allow.

use std::collections::BTreeMap;

use asclepius_schema::Licence;

/// What the licences of the sources come to, taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    unit: &'static str,
    sources: BTreeMap<Licence, u64>,
    whole: Whole,
}

/// What may be done with the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// There is no source.
    Nothing,
    /// It can be passed on under this licence: each condition any source makes binds the whole.
    Under(Licence),
    /// Two sources' conditions exclude each other: rows keep their own licences, and only parts can be passed on.
    InParts,
    /// A source allows nobody to pass on what was made from it.
    Withheld,
}

/// The classes that let nobody pass on what was changed.
const NO_DERIVATIVES: [Licence; 2] = [Licence::CcByNd, Licence::CcByNcNd];

impl Terms {
    /// The terms of what is made from sources under these licences, with how many `unit`s (articles, notes) there are of
    /// each; one that there are none of makes no condition.
    pub fn of(unit: &'static str, sources: impl IntoIterator<Item = (Licence, u64)>) -> Self {
        let mut counted = BTreeMap::new();
        for (licence, count) in sources.into_iter().filter(|(_, count)| *count > 0) {
            *counted.entry(licence).or_default() += count;
        }
        let whole = whole(counted.keys().copied());
        Self { unit, sources: counted, whole }
    }

    /// How many sources there are of each licence.
    pub fn sources(&self) -> &BTreeMap<Licence, u64> {
        &self.sources
    }

    /// What may be done with the whole.
    pub fn whole(&self) -> Whole {
        self.whole
    }

    /// A few words for it: a class's short name, or that there is none.
    pub fn name(&self) -> &'static str {
        match self.whole {
            Whole::Nothing => "none: there is no source",
            Whole::Under(licence) => licence.name(),
            Whole::InParts => "none fits all sources",
            Whole::Withheld => "not to be published",
        }
    }

    /// Why it cannot be published under one licence, and what would change that; `None` where it can.
    pub fn problem(&self) -> Option<String> {
        let named = |classes: &[Licence]| {
            let present = self.sources.iter().filter(|(licence, _)| classes.contains(licence));
            present
                .map(|(licence, count)| format!("{licence} ({})", self.counted(*count)))
                .collect::<Vec<_>>()
                .join(" and ")
        };
        match self.whole {
            Whole::Nothing | Whole::Under(_) => None,
            Whole::InParts => Some(format!(
                "{} demands that what is made from it stays free for commercial use, and {} that it is not used so; no licence \
                 does both. The rows of either can be published apart from the other's. {}",
                named(&[Licence::CcBySa]),
                named(&[Licence::CcByNc, Licence::CcByNcSa]),
                self.ways_out()
            )),
            Whole::Withheld => Some(format!(
                "{} lets nobody pass on what was made from it, alone or among others; it may be made and used where it was \
                 made{}. {}",
                named(&NO_DERIVATIVES),
                if self.sources.contains_key(&Licence::CcByNcNd) { ", and not for commerce" } else { "" },
                self.ways_out()
            )),
        }
    }

    fn counted(&self, count: u64) -> String {
        format!("{count} {}{}", self.unit, if count == 1 { "" } else { "s" })
    }

    /// Which smaller choices of licences have one licence, the largest first by sources.
    fn ways_out(&self) -> String {
        let kept = |leave: &[Licence]| -> Vec<(Licence, u64)> {
            let kept = self.sources.iter().filter(|(licence, _)| !leave.contains(licence));
            kept.map(|(licence, count)| (*licence, *count)).collect()
        };
        let mut ways: Vec<(u64, String)> = Vec::new();
        for conflict in [&[Licence::CcBySa][..], &[Licence::CcByNc, Licence::CcByNcSa], &[]] {
            let kept = kept(&[conflict, &NO_DERIVATIVES].concat());
            let Whole::Under(licence) = whole(kept.iter().map(|(licence, _)| *licence)) else { continue };
            let classes: Vec<String> = kept.iter().map(|(licence, _)| format!("{:?}", licence.name())).collect();
            let sources: u64 = kept.iter().map(|(_, count)| count).sum();
            let way = format!(
                "corpus.licences = [{}] leaves {} and makes it {licence}",
                classes.join(", "),
                self.counted(sources)
            );
            if !ways.iter().any(|(_, known)| *known == way) {
                ways.push((sources, way));
            }
        }
        ways.sort_by_key(|(sources, _)| std::cmp::Reverse(*sources));
        match ways.is_empty() {
            true => "No choice among these sources can be published.".to_owned(),
            false => format!("{}.", ways.into_iter().map(|(_, way)| way).collect::<Vec<_>>().join("; or ")),
        }
    }

    /// What follows for whoever passes the dataset on, one sentence a condition.
    pub fn consequences(&self) -> Vec<String> {
        let Whole::Under(licence) = self.whole else { return self.problem().into_iter().collect() };
        let mut all = Vec::new();
        let mut say = |text: String| all.push(text);
        if licence == Licence::Cc0 {
            say("Every source is dedicated to the public domain: it may be used for anything, and crediting the articles is good \
                 manners, not a duty."
                .to_owned());
            return all;
        }
        say("Whoever passes it on, whole or in part, credits the articles (each row carries the line), names their licences and \
             says that the text was changed."
            .to_owned());
        let because = |classes: &[Licence]| {
            let present = self.sources.iter().filter(|(class, _)| classes.contains(class));
            present
                .map(|(class, count)| format!("{} under {class}", self.counted(*count)))
                .collect::<Vec<_>>()
                .join(" and ")
        };
        if matches!(licence, Licence::CcByNc | Licence::CcByNcSa) {
            say(format!(
                "It must not be used for commerce, nor, to be safe, may a model trained on it: it is made from {}.",
                because(&[Licence::CcByNc, Licence::CcByNcSa])
            ));
        }
        if matches!(licence, Licence::CcBySa | Licence::CcByNcSa) {
            say(format!(
                "What is made from it and passed on carries {licence} too: it is made from {}.",
                because(&[Licence::CcBySa, Licence::CcByNcSa])
            ));
        }
        all
    }
}

fn whole(sources: impl IntoIterator<Item = Licence>) -> Whole {
    let sources: Vec<Licence> = sources.into_iter().collect();
    let any = |classes: &[Licence]| sources.iter().any(|source| classes.contains(source));
    if sources.is_empty() {
        return Whole::Nothing;
    }
    if any(&NO_DERIVATIVES) {
        return Whole::Withheld;
    }
    let non_commercial = any(&[Licence::CcByNc, Licence::CcByNcSa]);
    match (any(&[Licence::CcBySa]), non_commercial) {
        (true, true) => Whole::InParts,
        (true, false) => Whole::Under(Licence::CcBySa),
        (false, true) if any(&[Licence::CcByNcSa]) => Whole::Under(Licence::CcByNcSa),
        (false, true) => Whole::Under(Licence::CcByNc),
        (false, false) if any(&[Licence::CcBy]) => Whole::Under(Licence::CcBy),
        (false, false) => Whole::Under(Licence::Cc0),
    }
}

#[cfg(test)]
mod tests {
    use Licence::{Cc0, CcBy, CcByNc, CcByNcNd, CcByNcSa, CcByNd, CcBySa};

    use super::*;

    #[test]
    fn every_condition_binds_and_contradictions_have_no_licence() {
        for (sources, whole) in [
            (vec![], Whole::Nothing),
            (vec![Cc0], Whole::Under(Cc0)),
            (vec![CcBy, Cc0], Whole::Under(CcBy)),
            (vec![CcBySa, CcBy, Cc0], Whole::Under(CcBySa)),
            (vec![CcBy, CcByNc], Whole::Under(CcByNc)),
            (vec![CcByNc, CcByNcSa, CcBy], Whole::Under(CcByNcSa)),
            (vec![CcBySa, CcByNc], Whole::InParts),
            (vec![CcBySa, CcByNcSa], Whole::InParts),
            (vec![CcBy, CcByNd], Whole::Withheld),
            (vec![CcByNcNd], Whole::Withheld),
            (vec![CcBySa, CcByNc, CcByNd], Whole::Withheld),
        ] {
            let terms = Terms::of("note", sources.iter().map(|licence| (*licence, 1)));
            assert_eq!(terms.whole(), whole, "{sources:?}");
            let publishable = matches!(whole, Whole::Under(_) | Whole::Nothing);
            assert_eq!(terms.problem().is_none(), publishable, "{sources:?}");
        }
        assert_eq!(Terms::of("note", [(CcBy, 2), (CcByNd, 0)]).whole(), Whole::Under(CcBy), "none of it went in");
    }

    #[test]
    fn a_problem_names_the_classes_and_the_ways_out() {
        let problem = Terms::of("note", [(CcBy, 9), (CcBySa, 2), (CcByNcSa, 3)]).problem().expect("no licence fits");
        for words in [
            "CC BY-SA (2 notes)",
            "CC BY-NC-SA (3 notes)",
            "corpus.licences = [\"CC BY\", \"CC BY-NC-SA\"] leaves 12 notes and makes it CC BY-NC-SA; or corpus.licences = [\"CC BY\", \
             \"CC BY-SA\"] leaves 11 notes and makes it CC BY-SA",
        ] {
            assert!(problem.contains(words), "{words:?} is not in {problem}");
        }
        let problem = Terms::of("note", [(CcBy, 9), (CcByNcNd, 1)]).problem().expect("no licence fits");
        assert!(
            problem.contains("not for commerce. corpus.licences = [\"CC BY\"] leaves 9 notes and makes it CC BY."),
            "{problem}"
        );
        let problem = Terms::of("note", [(CcByNd, 1)]).problem().expect("no licence fits");
        assert!(problem.ends_with("No choice among these sources can be published."), "{problem}");
    }
}
