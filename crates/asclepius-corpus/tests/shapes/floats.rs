//! Tables and captions: apart from the text, and with the patient they are about.

use super::*;

const HEAD: &str =
    "<thead><tr><th rowspan=\"2\">Test</th><th colspan=\"2\">Day</th></tr><tr><th>1</th><th>5</th></tr></thead>";

fn table(id: &str, label: &str, caption: &str, rows: &str) -> String {
    format!(
        "<table-wrap id=\"{id}\"><label>{label}</label><caption><p>{caption}</p></caption><table>{rows}</table></table-wrap>"
    )
}

fn figure(id: &str, label: &str, caption: &str) -> String {
    format!("<fig id=\"{id}\"><label>{label}</label><caption><title>{caption}</title></caption><graphic/></fig>")
}

fn refers(kind: &str, id: &str) -> String {
    format!(" (<xref ref-type=\"{kind}\" rid=\"{id}\">see there</xref>)")
}

#[test]
fn a_table_is_rows_of_cells_whatever_spans_it_has() {
    let rows = format!(
        "{HEAD}<tbody><tr><td colspan=\"3\"><bold>Blood</bold></td></tr><tr><td>Sodium<sup>a</sup></td><td>131</td><td>138</td></tr>\
         <tr><td rowspan=\"2\">Liver|bile</td><td>ALT 40 [<xref ref-type=\"bibr\" rid=\"r\">1</xref>]</td><td/></tr><tr><td colspan=\"2\"><p>not</p><p>done</p></td></tr>\
         <tr><td/><td> </td></tr></tbody>"
    );
    let foot = "</table><table-wrap-foot><fn><label>a</label><p>Normal: 135 to 145.</p></fn></table-wrap-foot>";
    let wrap = table("t", "Table 1.", "Laboratory values [<xref ref-type=\"bibr\" rid=\"r\">1</xref>]", &rows)
        .replace("</table>", foot);
    let report = reports(&Paper::new("5", section("Case", &(paragraphs(&[MAN]) + &wrap)))).remove(0);
    assert_eq!(report.report, MAN);
    assert_eq!(report.captions, ["Table 1. Laboratory values"]);
    assert_eq!(
        report.tables,
        ["Table 1\n| Test | Day: 1 | Day: 5 |\n| --- | --- | --- |\n| Blood |\n| Sodiuma | 131 | 138 |\n\
          | Liver\\|bile | ALT 40 |  |\n| Liver\\|bile | not done | not done |\na Normal: 135 to 145."]
    );
}

#[test]
fn tables_of_other_models_and_without_a_head_are_read() {
    for (rows, text) in [
        (
            "<tr><th>Test</th><th>Value</th></tr><tr><td>ALT</td><td>40</td></tr>",
            "| Test | Value |\n| --- | --- |\n| ALT | 40 |",
        ),
        ("<tr><td>ALT</td><td>40</td></tr><tr><th>AST</th><td>30</td></tr>", "| ALT | 40 |\n| AST | 30 |"),
        (
            "<tgroup><thead><row><entry>Test</entry><entry namest=\"col2\" nameend=\"col3\">Day</entry></row></thead>\
             <tbody><row><entry morerows=\"1\">ALT</entry><entry>40</entry><entry>41</entry></row><row><entry>42</entry><entry>43</entry></row></tbody></tgroup>",
            "| Test | Day | Day |\n| --- | --- | --- |\n| ALT | 40 | 41 |\n| ALT | 42 | 43 |",
        ),
        (
            "<thead><tr><th>A</th><th>Before</th></tr><tr><th></th><th>surgery</th></tr></thead><tr><td>1</td><td>2</td></tr>",
            "| A | Before surgery |\n| --- | --- |\n| 1 | 2 |",
        ),
        // A span that reaches beyond its part of the table ends with it, one that makes no sense is none.
        (
            "<thead><tr><th rowspan=\"9\">A</th><th>B</th></tr></thead><tbody><tr><td rowspan=\"x\" colspan=\"-1\">1</td><td>2</td></tr></tbody>",
            "| A | B |\n| --- | --- |\n| 1 | 2 |",
        ),
    ] {
        let wrap = table("t", "", "", rows);
        let report = reports(&Paper::new("5", section("Case", &(paragraphs(&[MAN]) + &wrap)))).remove(0);
        assert_eq!((report.tables, report.captions), (vec![text.to_owned()], Vec::new()), "{rows}");
    }
    let picture = "<table-wrap><label>Table 1</label><caption><p>Values.</p></caption><alternatives><graphic/></alternatives></table-wrap>";
    let report = reports(&Paper::new("5", section("Case", &(paragraphs(&[MAN]) + picture)))).remove(0);
    assert_eq!((report.tables, report.captions), (Vec::new(), vec!["Table 1. Values.".to_owned()]));
}

#[test]
fn a_float_goes_to_those_whose_text_refers_to_it() {
    let man = format!("{MAN}{}", refers("fig", "f1 f4") + &refers("table", "t1"));
    let girl = format!("{GIRL}{}", refers("table", "t1") + &refers("fig", "g2"));
    let talk = format!("{TALK}{}", refers("fig", "f3"));
    let values = table("t1", "Table 1", "Both", "<tr><td>1</td></tr>");
    let body = section("Case 1", &(paragraphs(&[&man]) + &figure("f3", "Figure 3", "Only discussed")))
        + &section("Case 2", &(paragraphs(&[&girl]) + &figure("", "Figure 5", "Beside her")))
        + &section("Discussion", &(figure("", "Figure 6", "Beside the talk") + &paragraphs(&[&talk]) + &values));
    let group = format!(
        "<fig-group id=\"g2\"><caption><p>Her hip</p></caption>{}</fig-group>",
        figure("f2", "Figure 2", "Her hip, magnified")
    );
    let tail = format!(
        "<floats-group>{}{group}{}</floats-group>",
        figure("f1", "Figure 1", "His chest"),
        figure("f4", "Figure 4.", "His chest again.")
    );
    let found = reports(&Paper { tail, ..Paper::new("5", body) });
    assert_eq!(found[0].captions, ["Table 1. Both", "Figure 1. His chest", "Figure 4. His chest again."]);
    assert_eq!(found[1].captions, ["Figure 5. Beside her", "Table 1. Both", "Her hip", "Figure 2. Her hip, magnified"]);
    assert_eq!((&found[0].tables, &found[1].tables), (&vec!["Table 1\n| 1 |".to_owned()], &found[0].tables));
    for report in found {
        assert!(!report.report.contains("hip, magnified") && !report.report.contains("Both"), "{}", report.report);
    }
}

#[test]
fn what_others_hold_the_rights_to_and_what_is_no_patients_table_is_left_out_and_counted() {
    let own = "<table-wrap><label>Table 3</label><caption><p>Values</p></caption><table><tr><td>Modified from baseline; copyright</td></tr></table></table-wrap>";
    let stated = figure("", "Figure 2", "A scan")
        .replace("<graphic/>", "<permissions><copyright-statement>A press</copyright-statement></permissions>");
    let wide = "<tr><td colspan=\"999999999\" rowspan=\"999999999\">a</td></tr>".to_owned() + &"<tr/>".repeat(9000);
    let floats = figure("", "Figure 1", "A scan. Reproduced with permission from a press.")
        + &stated
        + &table("", "Table 2", "Data", &wide)
        + own;
    let paper = Paper::new("5", section("Case", &(paragraphs(&[MAN]) + &floats)));
    let mut found = read_files(&[("a.xml", paper.xml().as_bytes())]);
    let Outcome::Admitted { reports, .. } = found.remove(0) else { panic!("{found:?}") };
    assert_eq!(reports[0].captions, ["Table 2. Data", "Table 3. Values"]);
    assert_eq!(reports[0].tables, ["Table 3\n| Modified from baseline; copyright |"]);
    let parts: Vec<_> = found
        .into_iter()
        .map(|outcome| match outcome {
            Outcome::PartDropped(part) => (part.id, part.reason, part.detail),
            other => panic!("{other:?}"),
        })
        .collect();
    let licence = Reason::LicenceNotAdmitted;
    assert_eq!(parts[0].0, "PMC5/fig[1]");
    assert_eq!((parts[0].1, parts[1].1, parts[2].1), (licence, licence, Reason::TooLong));
    assert!(parts[0].2.contains("Reproduced with permission") && parts[1].2.starts_with("Figure 2: "), "{parts:?}");
    assert_eq!(parts.len(), 3);
}
