//! Tables and figures: which patient each is about, its caption, and a table as text. None of it is running text.
//!
//! A float is a patient's whose case text refers to it; one that nothing refers to is theirs whose text stands around it.
//! What others hold the rights to is left out, whatever the article's licence: permission to print is none to share.

use std::collections::HashMap;
use std::sync::LazyLock;

use asclepius_schema::{ArticleId, Dropped, Reason};
use regex::Regex;

use crate::patients::Patient;
use crate::pattern::pattern;
use crate::prose;
use crate::tables;
use crate::xml::Element;

/// What belongs to one patient, in the article's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Floats {
    pub tables: Vec<String>,
    pub captions: Vec<String>,
}

/// A table, a figure, or a group of either, which has a caption of its own.
struct Float<'t> {
    element: Element<'t>,
    /// Its id, and that of the group it is in.
    ids: [Option<String>; 2],
    /// The place of the section it stands in.
    section: Option<u32>,
}

/// What of an article's body has to do with floats.
#[derive(Default)]
struct Outline<'t> {
    floats: Vec<Float<'t>>,
    /// Where each id is referred to.
    references: HashMap<String, Vec<u32>>,
    /// Place of every outermost `<p>` and of its section, in document order.
    paragraphs: Vec<(u32, Option<u32>)>,
}

/// Hands every patient of an article what is theirs, and tells what is left out.
pub(crate) fn of_patients(root: Element<'_>, patients: &[Patient], id: &ArticleId) -> (Vec<Floats>, Vec<Dropped>) {
    let outline = outline(root);
    let mut owned: Vec<(u32, usize)> =
        (0..).zip(patients).flat_map(|(at, patient)| patient.places.iter().map(move |place| (*place, at))).collect();
    owned.sort_unstable();
    owned.dedup();
    let mut found = vec![Floats::default(); patients.len()];
    let mut dropped = Vec::new();
    for (n, float) in (1..).zip(&outline.floats) {
        let owners = owners(float, &outline, &owned, root);
        if owners.is_empty() {
            continue;
        }
        let refuse = |reason, detail: &str| {
            let name = float.element.name();
            Dropped::new(format!("{id}/{name}[{n}]"), reason, format!("{}: {detail}", label(float.element)))
        };
        let caption = caption(float.element);
        if let Some(sign) = foreign(float.element, caption.as_deref()) {
            dropped.push(refuse(Reason::LicenceNotAdmitted, &format!("it is not the article's own: {sign}")));
            continue;
        }
        let table = match float.element.name() {
            "table-wrap" => tables::text(float.element, &label(float.element)),
            _ => Ok(None),
        };
        let table = table.unwrap_or_else(|tables::TooLarge { rows }| {
            dropped.push(refuse(Reason::TooLong, &format!("a table of {rows} rows or more")));
            None
        });
        for owner in owners {
            found[owner].captions.extend(caption.clone());
            found[owner].tables.extend(table.clone());
        }
    }
    (found, dropped)
}

fn outline(root: Element<'_>) -> Outline<'_> {
    let mut outline = Outline::default();
    for part in root.elements().filter(|part| matches!(part.name(), "body" | "floats-group")) {
        // Sections, the group and the paragraph that are open, each with where it ends.
        let mut sections: Vec<(u32, u32)> = Vec::new();
        let mut group: Option<(u32, Option<String>)> = None;
        let mut paragraph = 0;
        part.walk(|element| {
            let name = element.name();
            match name {
                "sec" | "p" | "xref" | "fig" | "table-wrap" | "fig-group" | "table-wrap-group" => {}
                "ref-list" => return true,
                _ => return false,
            }
            let place = element.place();
            while sections.last().is_some_and(|(_, end)| *end <= place) {
                sections.pop();
            }
            let section = sections.last().map(|(at, _)| *at);
            match name {
                "sec" => sections.push((place, element.end())),
                "p" if place >= paragraph => {
                    paragraph = element.end();
                    outline.paragraphs.push((place, section));
                }
                "xref" => {
                    if let Some(ids) = element.attribute("rid") {
                        for id in ids.split_whitespace() {
                            outline.references.entry(id.to_owned()).or_default().push(place);
                        }
                    }
                }
                "fig" | "table-wrap" | "fig-group" | "table-wrap-group" => {
                    let own = element.attribute("id").map(|id| id.trim().to_owned());
                    let around = group.as_ref().filter(|(end, _)| *end > place).and_then(|(_, id)| id.clone());
                    let is_group = name.ends_with("-group");
                    if is_group {
                        group = Some((element.end(), own.clone()));
                    }
                    outline.floats.push(Float { element, ids: [own, around], section });
                    return !is_group;
                }
                _ => {}
            }
            false
        });
    }
    outline
}

/// The patients whom a float is about. `owned`: places of paragraphs with their patients, sorted.
fn owners(float: &Float<'_>, outline: &Outline<'_>, owned: &[(u32, usize)], root: Element<'_>) -> Vec<usize> {
    let of_paragraph = |place: u32| {
        let start = owned.partition_point(|(other, _)| *other < place);
        owned[start..].iter().take_while(move |(other, _)| *other == place).map(|(_, owner)| *owner)
    };
    let references = float.ids.iter().flatten().filter_map(|id| outline.references.get(id));
    let mut found = Vec::new();
    let mut referred = false;
    for place in references.flatten() {
        referred = true;
        // The last paragraph of a patient that begins before the reference.
        let after = owned.partition_point(|(other, _)| other < place);
        let Some((start, _)) = after.checked_sub(1).map(|at| owned[at]) else { continue };
        if root.other(start).end() > *place {
            found.extend(of_paragraph(start));
        }
    }
    if !referred {
        let place = float.element.place();
        let after = outline.paragraphs.partition_point(|(other, _)| *other < place);
        let here = |(_, section): &&(u32, Option<u32>)| *section == float.section;
        // Not across the border of a section: what opens a discussion is part of it.
        let before = outline.paragraphs[..after].last().filter(here);
        let beside = before.or_else(|| outline.paragraphs[after..].first().filter(here));
        found.extend(beside.into_iter().flat_map(|(place, _)| of_paragraph(*place)));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// "Table 2", without the punctuation after it; the kind of float where it has none.
fn label(float: Element<'_>) -> String {
    let label = float.child("label").map(|label| prose::inline(label).text).unwrap_or_default();
    label.trim_end_matches([' ', '.', ':', '|']).to_owned()
}

/// Label and caption in one line; `None` when there is no caption.
fn caption(float: Element<'_>) -> Option<String> {
    let caption = float.child("caption")?;
    let mut parts = vec![label(float)];
    for child in caption.elements() {
        match child.name() {
            "title" => parts.push(prose::inline(child).text),
            _ => parts.extend(prose::paragraphs(child).into_iter().map(|paragraph| paragraph.text)),
        }
    }
    // Old files put the text into the caption itself.
    if parts.len() == 1 {
        parts.push(prose::inline(caption).text);
    }
    if parts[1..].iter().all(String::is_empty) {
        return None;
    }
    let mut line = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if !line.is_empty() {
            line.push_str(if line.ends_with(['.', ':', '?', '!']) { " " } else { ". " });
        }
        line.push_str(part);
    }
    Some(line)
}

/// The sign that somebody else holds the rights to a float.
fn foreign(float: Element<'_>, caption: Option<&str>) -> Option<String> {
    static RIGHTS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:re(?:printed|produced|used)|adapted|modified|taken)\s+(?:with\s+(?:\w+\s+)?permission|from|by\s+permission|under\s+(?:a\s+)?licen[cs]e)|\bwith\s+(?:\w+\s+)?permission\s+(?:from|of|by)\b|\bcopyright\b|©|\ball rights reserved\b",
        )
    });
    let mut stated = false;
    let mut beside = String::new();
    float.walk(|element| {
        match element.name() {
            "permissions" => stated = true,
            "attrib" | "table-wrap-foot" => {
                beside.push_str(&element.text());
                beside.push('\n');
            }
            // Words in cells are what a table says, not what is said of it.
            "table" => return true,
            _ => {}
        }
        false
    });
    if stated {
        return Some("it has a permission statement of its own".to_owned());
    }
    let sign = |text: &str| RIGHTS.find(text).map(|found| format!("\"{}\"", found.as_str()));
    sign(caption.unwrap_or_default()).or_else(|| sign(&beside))
}
