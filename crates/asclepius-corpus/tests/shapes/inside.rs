//! Articles inside an article.

use super::*;

fn stub(name: &str) -> String {
    format!(
        "<front-stub><article-id pub-id-type=\"doi\">10.5555/inside</article-id><contrib-group><contrib contrib-type=\"author\"><name>\
         <surname>{name}</surname></name></contrib></contrib-group><related-article related-article-type=\"retracted-article\"/>\
         <permissions><license xlink:href=\"https://creativecommons.org/licenses/by-nc/4.0/\"/></permissions></front-stub>"
    )
}

fn girl() -> String {
    format!("<body>{}</body>", section("Case 2", &paragraphs(&[GIRL])))
}

/// Outcomes of one file: the article's, and the parts'.
fn with_parts(paper: &Paper) -> (Outcome, Vec<(String, Reason, String)>) {
    let mut all = read_files(&[("a.xml", paper.xml().as_bytes())]);
    let first = all.remove(0);
    let part = |outcome| match outcome {
        Outcome::PartDropped(part) => (part.id, part.reason, part.detail),
        other => panic!("{other:?}"),
    };
    (first, all.into_iter().map(part).collect())
}

#[test]
fn translations_replies_and_letters_never_mix_with_the_article_and_are_counted() {
    let tail = format!(
        "<sub-article article-type=\"translation\" xml:lang=\"es\">{}{}<response><p/></response></sub-article>\
         <sub-article article-type=\"letter\">{}{}</sub-article><response response-type=\"reply\">{}{}</response>",
        stub("Suarez"),
        girl(),
        stub("Letterman"),
        girl(),
        stub("Replier"),
        girl()
    );
    let alone = reports(&Paper::new("4", case()));
    let (found, parts) = with_parts(&Paper { tail, ..Paper::new("4", case()) });
    assert!(matches!(&found, Outcome::Admitted { reports, .. } if *reports == alone), "{found:?}");
    let part = |id: &str, reason, detail: &str| (id.to_owned(), reason, detail.to_owned());
    assert_eq!(
        parts,
        [
            part("PMC4/sub-article[1]", Reason::Translation, "a.xml: sub-article translation es, not read"),
            part("PMC4/sub-article[2]", Reason::SubArticle, "a.xml: sub-article letter, not read"),
            part("PMC4/response[3]", Reason::SubArticle, "a.xml: response reply, not read"),
        ]
    );
}

#[test]
fn an_english_translation_does_not_admit_an_article_in_another_language() {
    let french =
        "<p>Une femme de 45 ans a été admise à l'hôpital pour une fièvre et une toux depuis deux jours.</p>".repeat(9);
    let tail =
        format!("<sub-article article-type=\"translation\" xml:lang=\"en\">{}{}</sub-article>", stub("A"), girl());
    let (found, parts) = with_parts(&Paper { tail, ..Paper::new("4", section("Case", &french)) });
    assert_eq!(dropped(found).reason, Reason::Language);
    assert!(parts[0].1 == Reason::Translation && parts[0].2.contains("translation en"), "{parts:?}");
}

#[test]
fn comments_and_letters_inside_the_text_are_no_part_of_the_case() {
    for title in [
        "Editorial comment",
        "Editor's note",
        "Expert commentary",
        "Invited commentary",
        "Author's reply",
        "Authors' response",
        "Response to the reviewers",
        "Reviewer comments",
        "Letter to the editor",
    ] {
        let body = case()
            + &section(
                title,
                &paragraphs(&["The boy was seen, and he was well. His mother was glad, and she took him home."]),
            );
        assert_eq!(reports(&Paper::new("4", body))[0].report, MAN, "{title}");
    }
}

#[test]
fn only_authors_are_named() {
    let front = "<contrib-group content-type=\"reviewers\"><contrib><name><surname>Judge</surname></name></contrib></contrib-group>\
                 <contrib-group><contrib contrib-type=\"editor\"><name><surname>Chief</surname></name></contrib></contrib-group>";
    let report = reports(&Paper { front: front.to_owned(), ..Paper::new("4", case()) }).remove(0);
    assert!(report.attribution.starts_with("Ito Aki. Fever"), "{}", report.attribution);
}
