//! What a JATS article says, under our own names.

use std::cell::OnceCell;

use asclepius_schema::ArticleId;

use crate::headings::{Part, part_of_title};
use crate::prose::{self, Paragraph};
use crate::xml::{Element, Node};

/// One article, as far as any gate or record needs it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Article {
    /// The PMCID without its prefix, when one is given.
    pub pmcid: Option<String>,
    /// PMC's version of the article; 1 where none is given.
    pub version: u32,
    pub doi: String,
    pub pmid: String,
    pub title: String,
    /// The `article-type` attribute.
    pub kind: String,
    pub journal: String,
    pub year: Option<i32>,
    /// `Surname Given`, or a group's name.
    pub authors: Vec<String>,
    /// Subject headings.
    pub headings: Vec<String>,
    pub keywords: Vec<String>,
    pub licence: LicenceEvidence,
    /// `related-article-type` of every link.
    pub relations: Vec<String>,
    /// Types of the events and dates of the article's history.
    pub events: Vec<String>,
    pub summary: String,
    /// The main text; `None` when there is no `<body>`.
    pub body: Option<Section>,
}

/// Every statement on the licence of the article as a whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct LicenceEvidence {
    /// Addresses in attributes and `license_ref`, in document order.
    pub addresses: Vec<String>,
    /// `license-type` and `content-type` values.
    pub labels: Vec<String>,
    /// Licence paragraphs and copyright statement.
    pub text: String,
    /// Whether there is a `<license>` or `license_ref` at all.
    pub stated: bool,
    /// PubMed Central's own reading (`pmc-license-ref`).
    pub archive: Option<String>,
}

/// A section, or the whole body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Section {
    pub title: String,
    /// The `sec-type` attribute.
    pub kind: String,
    /// The heading was a paragraph in bold, so what follows on the same level may still belong to it.
    pub disguised: bool,
    pub blocks: Vec<Block>,
    /// What its heading and type promise, told once.
    pub(crate) part: OnceCell<Part>,
}

/// What a section is made of.
#[derive(Debug, Clone)]
pub(crate) enum Block {
    Paragraph(Paragraph),
    Section(Section),
}

impl Section {
    /// The sections directly inside.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Section(section) => Some(section),
            Block::Paragraph(_) => None,
        })
    }

    /// The paragraphs directly inside.
    pub fn own_paragraphs(&self) -> impl Iterator<Item = &Paragraph> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Paragraph(paragraph) => Some(paragraph),
            Block::Section(_) => None,
        })
    }

    /// Every paragraph, however deep, in document order.
    pub fn paragraphs(&self) -> Vec<&Paragraph> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect<'a>(&'a self, found: &mut Vec<&'a Paragraph>) {
        for block in &self.blocks {
            match block {
                Block::Paragraph(paragraph) => found.push(paragraph),
                Block::Section(section) => section.collect(found),
            }
        }
    }

    /// Whether any paragraph brings in one person with an age.
    pub fn introduces(&self) -> bool {
        self.blocks.iter().any(|block| match block {
            Block::Paragraph(paragraph) => paragraph.introduction().is_some(),
            Block::Section(section) => section.introduces(),
        })
    }

    /// All text, paragraphs one to a line.
    pub fn text(&self) -> String {
        self.paragraphs().into_iter().map(|paragraph| paragraph.text.as_str()).collect::<Vec<_>>().join("\n")
    }
}

impl Article {
    /// Reads the front matter of an `<article>`; `None` when it has no `<article-meta>` and so is no JATS.
    pub fn front(root: Element<'_>) -> Option<Self> {
        let front = root.child("front")?;
        let meta = front.child("article-meta")?;
        let mut article = Self {
            version: 1,
            kind: root.attribute("article-type").unwrap_or_default().trim().to_lowercase(),
            title: title(meta),
            journal: journal(front),
            year: year(meta),
            authors: authors(meta),
            licence: licence(front, meta),
            relations: relations(root),
            ..Self::default()
        };
        article.identify(meta);
        let mut found = Vec::new();
        meta.descendants("subject", &mut found);
        article.headings = texts(&found);
        found.clear();
        meta.descendants("kwd", &mut found);
        article.keywords = texts(&found);
        found.clear();
        meta.descendants("event", &mut found);
        meta.descendants("date", &mut found);
        let events = found.iter().filter_map(|event| event.attribute("event-type").or(event.attribute("date-type")));
        article.events = events.map(|event| event.to_lowercase()).collect();
        found.clear();
        front.descendants("custom-meta", &mut found);
        for property in found {
            let part = |name| property.child(name).map(|part| part.text().to_lowercase()).unwrap_or_default();
            if part("meta-name").contains("retract") && matches!(part("meta-value").as_str(), "yes" | "true" | "1") {
                article.events.push(part("meta-name"));
            }
        }
        Some(article)
    }

    /// Adds what the whole article says to what its front matter does.
    pub fn read_on(&mut self, root: Element<'_>) {
        self.relations = relations(root);
        self.body = root.child("body").map(|body| section(body, 0));
        let summary = root.child("front").and_then(|front| front.child("article-meta")?.child("abstract"));
        self.summary = summary.map(|summary| prose::inline_text(&summary.text())).unwrap_or_default();
    }

    fn identify(&mut self, meta: Element<'_>) {
        for id in meta.elements().filter(|element| element.name() == "article-id") {
            let value = id.text();
            match id.attribute("pub-id-type").unwrap_or_default().as_ref() {
                "pmc" | "pmcid" if self.pmcid.is_none() => {
                    let (digits, version) = split_pmcid(&value);
                    self.pmcid = digits;
                    self.version = version.unwrap_or(self.version);
                }
                "pmcid-ver" | "pmc-ver" => {
                    if let (_, Some(version)) = split_pmcid(&value) {
                        self.version = version;
                    }
                }
                "doi" if self.doi.is_empty() => {
                    let bare = value.trim_start_matches("https://doi.org/").trim_start_matches("http://dx.doi.org/");
                    bare.trim_start_matches("doi:").trim().clone_into(&mut self.doi);
                }
                "pmid" if self.pmid.is_empty() => self.pmid = value,
                _ => {}
            }
        }
    }

    /// The article's stable name: its PMCID, or else a hash of its DOI, or else of what it says.
    pub fn id(&self) -> ArticleId {
        if let Some(id) = self.pmcid.as_deref().and_then(|pmcid| ArticleId::from_pmcid(pmcid).ok()) {
            return id;
        }
        if !self.doi.is_empty() {
            return ArticleId::from_identity(self.doi.to_lowercase().as_bytes());
        }
        let body = self.body.as_ref().map(Section::text).unwrap_or_default();
        ArticleId::from_identity(format!("{}\n{}\n{body}", self.title, self.summary).as_bytes())
    }
}

/// `PMC123.2`, `PMC123` or `123` as digits and version.
pub(crate) fn split_pmcid(value: &str) -> (Option<String>, Option<u32>) {
    let value = value.trim();
    let bare = value.strip_prefix("PMC").or_else(|| value.strip_prefix("pmc")).unwrap_or(value);
    let (digits, version) =
        bare.split_once('.').map_or((bare, None), |(digits, version)| (digits, version.parse().ok()));
    let shaped = (1..=12).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    (shaped.then(|| digits.to_owned()), version)
}

/// Links to retractions stand in the front matter, in old files also in notes of the back matter.
fn relations(root: Element<'_>) -> Vec<String> {
    let mut found = Vec::new();
    root.descendants("related-article", &mut found);
    let relations = found.iter().filter_map(|link| link.attribute("related-article-type"));
    relations.map(|relation| relation.to_lowercase()).collect()
}

fn texts(elements: &[Element<'_>]) -> Vec<String> {
    elements.iter().map(|element| element.text()).filter(|text| !text.is_empty()).collect()
}

fn title(meta: Element<'_>) -> String {
    let Some(title) = meta.child("title-group").and_then(|group| group.child("article-title")) else {
        return String::new();
    };
    prose::inline(title).text
}

fn journal(front: Element<'_>) -> String {
    let mut found = Vec::new();
    if let Some(meta) = front.child("journal-meta") {
        meta.descendants("journal-title", &mut found);
        if found.is_empty() {
            meta.descendants("journal-id", &mut found);
        }
    }
    found.first().map(|title| title.text()).unwrap_or_default()
}

/// The year the article came out: the earliest of its publication dates, since a collection's year may lag behind.
fn year(meta: Element<'_>) -> Option<i32> {
    let dates = meta.elements().filter(|element| element.name() == "pub-date");
    let published = dates.filter(|date| !date.attribute("pub-type").unwrap_or_default().starts_with("pmc"));
    published.filter_map(|date| date.child("year")?.text().parse().ok()).min()
}

fn authors(meta: Element<'_>) -> Vec<String> {
    let mut contributors = Vec::new();
    let others = ["editor", "review", "translat", "referee"];
    for group in meta.elements().filter(|element| element.name() == "contrib-group") {
        let kind = group.attribute("content-type").unwrap_or_default().to_lowercase();
        if others.iter().any(|other| kind.contains(other)) {
            continue;
        }
        contributors.extend(group.elements().filter(|element| element.name() == "contrib"));
    }
    let is_author =
        |contributor: &Element<'_>| contributor.attribute("contrib-type").is_none_or(|kind| kind == "author");
    let mut names = Vec::new();
    for contributor in contributors.into_iter().filter(is_author) {
        let person = contributor.child("name").or_else(|| contributor.child("name-alternatives")?.child("name"));
        let name = match (person, contributor.child("collab").or(contributor.child("string-name"))) {
            (Some(person), _) => {
                let part = |name| person.child(name).map(Element::text).unwrap_or_default();
                format!("{} {}", part("surname"), part("given-names")).trim().to_owned()
            }
            (None, Some(group)) => own_text(group),
            (None, None) => continue,
        };
        if !name.is_empty() {
            names.push(name);
        }
    }
    names
}

/// A group's own name, without the members listed inside it.
fn own_text(element: Element<'_>) -> String {
    let mut text = String::new();
    for node in element.children() {
        match node {
            Node::Text(part) => text.push_str(part),
            Node::Element(child) if child.name() != "contrib-group" => {
                text.push(' ');
                text.push_str(&child.text());
            }
            Node::Element(_) => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn licence(front: Element<'_>, meta: Element<'_>) -> LicenceEvidence {
    let mut evidence = LicenceEvidence::default();
    // Permissions lie in article-meta; old files put the licence there without them.
    for element in meta.elements() {
        match element.name() {
            "permissions" => element.elements().for_each(|inner| gather_licence(inner, &mut evidence)),
            _ => gather_licence(element, &mut evidence),
        }
    }
    let mut custom = Vec::new();
    front.descendants("custom-meta", &mut custom);
    for pair in custom {
        let name = pair.child("meta-name").map(|name| name.text().to_lowercase()).unwrap_or_default();
        if name == "pmc-license-ref" || (name.contains("licen") && evidence.archive.is_none()) {
            evidence.archive = pair.child("meta-value").map(Element::text);
        }
    }
    evidence
}

fn gather_licence(element: Element<'_>, evidence: &mut LicenceEvidence) {
    match element.name() {
        "license" | "licence" => {
            evidence.stated = true;
            gather_addresses(element, evidence);
            evidence.text.push_str(&element.text());
            evidence.text.push('\n');
        }
        "license_ref" => {
            evidence.stated = true;
            gather_addresses(element, evidence);
        }
        "copyright-statement" => {
            gather_addresses(element, evidence);
            evidence.text.push_str(&element.text());
            evidence.text.push('\n');
        }
        // Crossref's wrapper around `license_ref`.
        "program" => element.elements().for_each(|inner| gather_licence(inner, evidence)),
        _ => {}
    }
}

fn gather_addresses(element: Element<'_>, evidence: &mut LicenceEvidence) {
    for (name, value) in element.attributes() {
        match name {
            "href" => evidence.addresses.push(value.trim().to_owned()),
            "license-type" | "content-type" => evidence.labels.push(value.trim().to_owned()),
            _ => {}
        }
    }
    if element.name() == "license_ref" {
        evidence.addresses.push(element.text());
    }
    for child in element.elements() {
        gather_addresses(child, evidence);
    }
}

/// Floats, apparatus and what else is no running text of its section.
const NOT_TEXT: [&str; 19] = [
    "title",
    "label",
    "fig",
    "fig-group",
    "table-wrap",
    "table-wrap-group",
    "media",
    "supplementary-material",
    "graphic",
    "fn",
    "fn-group",
    "sec-meta",
    "object-id",
    "def-list",
    "glossary",
    "ack",
    "notes",
    "ref-list",
    "alternatives",
];

fn section(element: Element<'_>, depth: usize) -> Section {
    let mut section = Section {
        title: element.child("title").map(|title| prose::inline(title).text).unwrap_or_default(),
        kind: element.attribute("sec-type").unwrap_or_default().to_lowercase(),
        ..Section::default()
    };
    gather_blocks(element, depth, &mut section.blocks);
    // A paragraph that is nothing but a few bold words is a heading in disguise; marked words that open a paragraph
    // are one where they name another part of an article.
    let mut blocks: Vec<Block> = Vec::new();
    let mut disguised = false;
    for block in section.blocks {
        match block {
            Block::Paragraph(paragraph) if paragraph.heading => {
                blocks.push(Block::Section(Section { title: paragraph.text, disguised: true, ..Section::default() }));
                disguised = true;
            }
            Block::Paragraph(paragraph) if opens_a_part(&paragraph, depth) => {
                // A note on consent is over with its paragraph, a discussion goes on.
                disguised = part_of_title(&paragraph.lead) != Part::Apparatus;
                let title = paragraph.lead.clone();
                let blocks_of_it = vec![Block::Paragraph(paragraph)];
                blocks.push(Block::Section(Section { title, disguised, blocks: blocks_of_it, ..Section::default() }));
            }
            Block::Paragraph(paragraph) if disguised => {
                if let Some(Block::Section(last)) = blocks.last_mut() {
                    last.blocks.push(Block::Paragraph(paragraph));
                }
            }
            Block::Section(inner) => {
                disguised = false;
                blocks.push(Block::Section(inner));
            }
            Block::Paragraph(paragraph) => blocks.push(Block::Paragraph(paragraph)),
        }
    }
    section.blocks = blocks;
    section
}

/// Whether the marked words that a paragraph opens with stand for a heading. Inside a section only what ends a case
/// does: "Background:" or "Patient information:" are then parts of it.
fn opens_a_part(paragraph: &Paragraph, depth: usize) -> bool {
    match part_of_title(&paragraph.lead) {
        Part::Discussion | Part::Apparatus => true,
        Part::Opening | Part::Case => depth == 0,
        _ => false,
    }
}

fn gather_blocks(element: Element<'_>, depth: usize, blocks: &mut Vec<Block>) {
    for child in element.elements() {
        match child.name() {
            "sec" => blocks.push(Block::Section(section(child, depth + 1))),
            "p" => {
                let paragraphs = prose::paragraphs(child).into_iter();
                blocks.extend(
                    paragraphs.map(|paragraph| Block::Paragraph(Paragraph { place: child.place(), ..paragraph })),
                );
            }
            // Mostly key points; but some journals set the case in a box.
            "boxed-text" => {
                let inner = section(child, depth + 1);
                if inner.introduces() {
                    blocks.push(Block::Section(inner));
                }
            }
            name if NOT_TEXT.contains(&name) => {}
            // Lists, quotations and whatever else holds paragraphs.
            _ => gather_blocks(child, depth, blocks),
        }
    }
}
