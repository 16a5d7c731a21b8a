//! Files in other encodings than UTF-8.

use super::*;

/// The article as it reads in UTF-8, declaring `encoding`.
fn declaring(encoding: &str) -> String {
    let front = "<kwd-group><kwd>Fièvre</kwd></kwd-group>".to_owned();
    format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>\n{}", Paper { front, ..Paper::new("1", case()) }.xml())
}

/// Characters as bytes of ISO 8859-1.
fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character as u32).expect("Latin")).collect()
}

fn wide(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

#[test]
fn an_article_says_the_same_in_every_encoding() {
    let plain = read_files(&[("a.xml", declaring("UTF-8").as_bytes())]);
    let Outcome::Admitted { reports, .. } = &plain[0] else { panic!("{plain:?}") };
    assert!(reports[0].report.contains("39.1 °C") && reports[0].subjects == ["Fièvre"]);
    let little = wide(&declaring("utf-16"), u16::to_le_bytes);
    let big = wide(&declaring("UTF-16"), u16::to_be_bytes);
    for bytes in [
        [&b"\xff\xfe"[..], &little].concat(),
        [&b"\xfe\xff"[..], &big].concat(),
        little.clone(),
        big,
        latin(&declaring("ISO-8859-1")),
        latin(&declaring("windows-1252")),
        [&b"\xef\xbb\xbf"[..], declaring("utf-8").as_bytes()].concat(),
    ] {
        assert_eq!(read_files(&[("a.xml", &bytes)]), plain);
        let squeezed = read_files(&[("a.xml.gz", &gz(&bytes))]);
        assert!(
            matches!(&squeezed[0], Outcome::Admitted { reports: found, .. } if found[0].report == reports[0].report)
        );
    }
}

#[test]
fn a_wrong_or_unknown_encoding_costs_only_its_file() {
    let good = Paper::new("9", section("Case", &paragraphs(&[GIRL]))).xml();
    let half = wide(&declaring("utf-16"), u16::to_le_bytes);
    let found = read_files(&[
        ("a.xml", declaring("x-klingon").as_bytes()),
        ("b.xml", declaring("utf-16").as_bytes()),
        ("c.xml", &latin(&declaring("utf-8"))),
        ("d.xml", &latin(&declaring("us-ascii"))),
        ("e.xml", declaring("EUC-JP").replace("°", "\u{80}\u{a7}").as_bytes()),
        ("f.xml", &half[..half.len() / 2]),
        ("g.xml", good.as_bytes()),
    ]);
    let what = [
        "a.xml: byte 0: it declares the encoding \"x-klingon\", which is not known",
        "b.xml: byte 0: it declares the encoding \"utf-16\" and is not written in it",
        "it is no UTF-8",
        "it is no UTF-8",
        "it is no EUC-JP (in the text decoded from EUC-JP)",
        "(in the text decoded from UTF-16LE)",
    ];
    for (outcome, what) in found[..6].iter().zip(what) {
        let Outcome::Dropped(dropped) = outcome else { panic!("{what}: {outcome:?}") };
        assert_eq!(dropped.reason, Reason::Unreadable);
        assert!(
            dropped.detail.starts_with(&format!("{}: byte ", dropped.id)) && dropped.detail.contains(what),
            "{dropped:?}"
        );
    }
    assert!(matches!(&found[6], Outcome::Admitted { article_id, .. } if article_id.as_str() == "PMC9"));
}

#[test]
fn what_cannot_be_decoded_costs_only_its_article() {
    let article = |id, text: &str| {
        let paper = Paper::new(id, section("Case", &paragraphs(&[text]))).xml();
        paper.split_once('\n').expect("a document type").1.to_owned()
    };
    let set = format!(
        "<?xml version='1.0' encoding='Shift_JIS'?><pmc-articleset>{}{}</pmc-articleset>",
        article("1", &MAN.replace('°', "!")),
        article("2", GIRL)
    );
    let bytes: Vec<u8> = set.into_bytes().into_iter().map(|byte| if byte == b'!' { 0xfe } else { byte }).collect();
    let found = read_files(&[("set.xml", &bytes)]);
    assert!(
        matches!(&found[0], Outcome::Dropped(dropped) if dropped.detail.contains("it is no Shift_JIS")),
        "{found:?}"
    );
    assert!(matches!(&found[1], Outcome::Admitted { article_id, .. } if article_id.as_str() == "PMC2"));
}
