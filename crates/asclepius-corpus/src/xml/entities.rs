//! Entities as text. What a file declares for itself is read, what lies elsewhere is never fetched.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use quick_xml::escape::resolve_html5_entity;
use quick_xml::events::BytesRef;
use regex::Regex;

/// An entity's text. One that nothing declares stays as written: leaving it out would change what is said.
pub(super) fn resolve(reference: &BytesRef<'_>, declared: &BTreeMap<String, String>) -> Cow<'static, str> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Cow::Owned(character.to_string());
    }
    let name = reference.borrow().into_inner();
    match resolve_html5_entity(&name) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(declared.get(name.as_ref()).cloned().unwrap_or_else(|| format!("&{name};"))),
    }
}

/// `value` with its references resolved, each at most once.
pub(super) fn unescape(value: &str, declared: &BTreeMap<String, String>) -> String {
    if !value.contains('&') {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(end) = rest.find(';').filter(|end| (1..=32).contains(end)) {
            text.push_str(&resolve(&BytesRef::new(&rest[..end]), declared));
            rest = &rest[end + 1..];
        } else {
            text.push('&');
        }
    }
    text.push_str(rest);
    text
}

/// Plain text entities of an internal subset. Values with markup or further references are left alone.
pub(super) fn declarations(doctype: &str) -> BTreeMap<String, String> {
    // Not narrowed: what a name may hold is not for us to say.
    static ENTITY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"<!ENTITY\s+([\w.:-]+)\s+(?:"([^"<]{0,1024})"|'([^'<]{0,1024})')\s*>"#).expect("a fixed pattern")
    });
    if !doctype.contains("<!ENTITY") {
        return BTreeMap::new();
    }
    let none = BTreeMap::new();
    ENTITY
        .captures_iter(doctype)
        .filter_map(|found| {
            let value = found.get(2).or_else(|| found.get(3))?.as_str();
            Some((found[1].to_owned(), unescape(value, &none)))
        })
        .collect()
}
