//! What is printed inside an article and is none of it: translations, replies, comments, reviews. The reader passes over
//! the whole of each; here they are counted.

use asclepius_schema::{ArticleId, Dropped, Reason};

use crate::xml::Element;

/// Names every sub-article and response of an article that was read to its end, in document order. `source` is its file.
pub(crate) fn inside(root: Element<'_>, id: &ArticleId, source: &str) -> Vec<Dropped> {
    let parts = root.elements().filter(|part| matches!(part.name(), "sub-article" | "response"));
    let dropped = (1..).zip(parts).map(|(n, part): (u32, _)| {
        let name = part.name();
        let kind = part.attribute(if name == "response" { "response-type" } else { "article-type" });
        let kind = kind.map(|kind| kind.trim().to_lowercase()).unwrap_or_default();
        let language = part.attribute("lang").map(|language| language.trim().to_owned()).unwrap_or_default();
        let reason = if kind == "translation" { Reason::Translation } else { Reason::SubArticle };
        let told: Vec<&str> = [name, &kind, &language].into_iter().filter(|part| !part.is_empty()).collect();
        Dropped::new(format!("{id}/{name}[{n}]"), reason, format!("{source}: {}, not read", told.join(" ")))
    });
    dropped.collect()
}
