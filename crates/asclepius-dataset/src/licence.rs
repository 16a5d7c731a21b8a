//! Which licence a dataset can carry that was made from articles under several.

use asclepius_schema::Licence;

/// The licence under which everything made from sources under `licences` may be passed on as a whole, if there is
/// one: each condition any source makes binds the whole.
///
/// `None` for no source at all, and where conditions exclude each other: a no-derivatives source allows nothing that
/// is made from it, and CC BY-SA does not allow the non-commercial condition that another source demands. Rows then
/// keep their own licences and cannot be published together.
pub fn licence_of(licences: impl IntoIterator<Item = Licence>) -> Option<Licence> {
    let mut sources: Vec<Licence> = licences.into_iter().collect();
    sources.sort_unstable();
    sources.dedup();
    let any = |classes: &[Licence]| sources.iter().any(|source| classes.contains(source));
    if sources.is_empty() || any(&[Licence::CcByNd, Licence::CcByNcNd]) {
        return None;
    }
    let non_commercial = any(&[Licence::CcByNc, Licence::CcByNcSa]);
    match (any(&[Licence::CcBySa]), non_commercial, any(&[Licence::CcByNcSa])) {
        (true, true, _) => None,
        (true, false, _) => Some(Licence::CcBySa),
        (false, true, true) => Some(Licence::CcByNcSa),
        (false, true, false) => Some(Licence::CcByNc),
        (false, false, _) if any(&[Licence::CcBy]) => Some(Licence::CcBy),
        (false, false, _) => Some(Licence::Cc0),
    }
}

#[cfg(test)]
mod tests {
    use Licence::{Cc0, CcBy, CcByNc, CcByNcNd, CcByNcSa, CcByNd, CcBySa};

    use super::*;

    #[test]
    fn every_condition_binds_and_contradictions_have_no_licence() {
        for (sources, whole) in [
            (vec![], None),
            (vec![Cc0], Some(Cc0)),
            (vec![CcBy, Cc0], Some(CcBy)),
            (vec![CcBySa, CcBy, Cc0], Some(CcBySa)),
            (vec![CcBy, CcByNc], Some(CcByNc)),
            (vec![CcByNc, CcByNcSa, CcBy], Some(CcByNcSa)),
            (vec![CcBySa, CcByNc], None),
            (vec![CcBySa, CcByNcSa], None),
            (vec![CcBy, CcByNd], None),
            (vec![CcByNcNd], None),
        ] {
            assert_eq!(licence_of(sources.clone()), whole, "{sources:?}");
        }
    }
}
