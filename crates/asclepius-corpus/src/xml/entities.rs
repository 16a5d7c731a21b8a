//! Entities as text. What a file declares for itself is read, what lies elsewhere is never fetched.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::BytesRef;
use regex::Regex;

/// What an article's document type declares: each entity's whole text, or nothing where it would have no end.
pub(super) type Declared = BTreeMap<String, Option<String>>;

/// The most bytes that all entities of an article stand for. Those of real files are names of journals and people.
const BYTES: usize = 1 << 20;
/// How many entities may stand inside each other.
const DEPTH: usize = 16;

/// What the DTDs of JATS name without saying it in the file: the sets of ISO and MathML, which HTML has taken over.
static NAMED: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let plain =
        |entity: &entities::Entity| Some((entity.entity.strip_prefix('&')?.strip_suffix(';')?, entity.characters));
    entities::ENTITIES.iter().filter_map(plain).collect()
});

/// An entity's text. One that nothing declares stays as written: leaving it out would change what is said.
///
/// `None` for one that refers to itself, or that unfolds into more than any text needs.
pub(super) fn resolve(reference: &BytesRef<'_>, declared: &Declared) -> Option<Cow<'static, str>> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(Cow::Owned(character.to_string()));
    }
    let name = reference.borrow().into_inner();
    if let Some(text) = resolve_xml_entity(&name) {
        return Some(Cow::Borrowed(text));
    }
    match declared.get(name.as_ref()) {
        Some(text) => text.clone().map(Cow::Owned),
        None => {
            Some(NAMED.get(name.as_ref()).map_or_else(|| Cow::Owned(as_written(&name)), |text| Cow::Borrowed(*text)))
        }
    }
}

fn as_written(name: &str) -> String {
    format!("&{name};")
}

/// `value` with its references resolved; one without an end stays as written.
pub(super) fn unescape(value: &str, declared: &Declared) -> String {
    let resolved = replace(value, |name| {
        Some(resolve(&BytesRef::new(name), declared).unwrap_or_else(|| Cow::Owned(as_written(name))))
    });
    resolved.expect("every reference has a text")
}

/// `value` with what `text` gives for the name of each reference, unless it gives nothing for one.
fn replace<'n>(value: &'n str, mut text: impl FnMut(&'n str) -> Option<Cow<'static, str>>) -> Option<String> {
    let mut whole = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        whole.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(end) = rest.find(';').filter(|end| (1..=32).contains(end)) {
            whole.push_str(&text(&rest[..end])?);
            rest = &rest[end + 1..];
        } else {
            whole.push('&');
        }
    }
    whole.push_str(rest);
    Some(whole)
}

/// The entities of an internal subset, each unfolded to its end. Values with markup are left alone.
pub(super) fn declarations(doctype: &str) -> Declared {
    // Not narrowed: what a name may hold is not for us to say.
    static ENTITY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"<!ENTITY\s+([\w.:-]+)\s+(?:"([^"<]{0,1024})"|'([^'<]{0,1024})')\s*>"#).expect("a fixed pattern")
    });
    if !doctype.contains("<!ENTITY") {
        return Declared::new();
    }
    let mut values: BTreeMap<&str, &str> = BTreeMap::new();
    for found in ENTITY.captures_iter(doctype) {
        let (_, [name, value]) = found.extract();
        // The first declaration binds (XML 1.0, section 4.2).
        values.entry(name).or_insert(value);
    }
    let names: Vec<&str> = values.keys().copied().collect();
    let mut unfolding = Unfolding { values, declared: Declared::new(), room: BYTES };
    for name in names {
        unfolding.unfold(name, 0);
    }
    unfolding.declared
}

struct Unfolding<'d> {
    values: BTreeMap<&'d str, &'d str>,
    declared: Declared,
    /// Bytes that may still be written.
    room: usize,
}

impl Unfolding<'_> {
    /// Puts an entity's whole text among the declared ones, after those that it refers to, and gives it.
    fn unfold(&mut self, name: &str, depth: usize) -> Option<String> {
        if let Some(known) = self.declared.get(name) {
            return known.clone();
        }
        let value = self.values[name];
        self.room = self.room.saturating_sub(value.len());
        // What is still being unfolded refers to itself when it is met again.
        self.declared.insert(name.to_owned(), None);
        let text = replace(value, |inner| {
            if !self.values.contains_key(inner) {
                return resolve(&BytesRef::new(inner), &Declared::new());
            }
            let text = if depth < DEPTH { self.unfold(inner, depth + 1)? } else { return None };
            self.room = self.room.checked_sub(text.len())?;
            Some(Cow::Owned(text))
        });
        self.declared.insert(name.to_owned(), text.clone());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(doctype: &str, name: &str) -> Option<String> {
        resolve(&BytesRef::new(name), &declarations(doctype)).map(Cow::into_owned)
    }

    /// Entities of which each stands for `times` of the one before.
    fn chain(count: usize, times: usize) -> String {
        let entity = |at| format!("<!ENTITY e{at} \"{}\">", format!("&e{};", at - 1).repeat(times));
        (1..count).map(entity).collect::<Vec<_>>().concat()
    }

    #[test]
    fn entities_unfold_and_those_without_an_end_have_no_text() {
        let known = "<!DOCTYPE a [<!ENTITY b \"&lt;&c;&#233;\"><!ENTITY c 'J Med'><!ENTITY c 'later'>]>";
        assert_eq!(text(known, "b").as_deref(), Some("<J Med\u{e9}"));
        for (name, character) in
            [("beta", "\u{3b2}"), ("scaron", "\u{161}"), ("nbsp", "\u{a0}"), ("le", "\u{2264}"), ("lt", "<")]
        {
            assert_eq!(text(known, name).as_deref(), Some(character), "{name}");
        }
        assert_eq!(text(known, "alpha").as_deref(), Some("\u{3b1}"));
        assert_eq!(text(known, "nobody").as_deref(), Some("&nobody;"));
        assert_eq!(text("<!DOCTYPE a [<!ENTITY b \"&c;\"><!ENTITY c \"&b;\">]>", "b"), None);
        assert_eq!(text("<!DOCTYPE a [<!ENTITY b \"&b;\">]>", "b"), None);
        let tens = chain(10, 10);
        let laughs = format!("<!DOCTYPE a [<!ENTITY e0 \"ha\">{tens}]>");
        assert_eq!(text(&laughs, "e2").map(|text| text.len()), Some(200));
        assert_eq!(text(&laughs, "e9"), None);
        assert_eq!(text(&format!("<!DOCTYPE a [<!ENTITY e0 \"ha\">{}]>", chain(100_000, 1)), "e99999"), None);
    }
}
