//! What the documentation says about the binary, held against the binary.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn asclepius(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_asclepius"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("the binary was built for this test");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text on stdout is UTF-8")
}

#[test]
fn the_configuration_reference_is_what_the_configuration_structs_say() {
    let committed = fs_err::read_to_string(root().join("docs/configuration.md")).expect("the page is committed");
    let current = asclepius(&["reference"]);
    assert!(
        committed == current,
        "docs/configuration.md is out of date: `asclepius reference > docs/configuration.md`"
    );
}

#[test]
fn every_key_of_the_reference_has_a_meaning() {
    for line in asclepius(&["reference"]).lines().filter(|line| line.starts_with("| `")) {
        let meaning = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        assert!(!meaning.trim().is_empty(), "no documentation: {line}");
    }
}

#[test]
fn every_command_the_readme_shows_exists() {
    let readme = fs_err::read_to_string(root().join("README.md")).expect("the README is committed");
    let commands: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.trim_start_matches(['$', ' ']).strip_prefix("asclepius "))
        .filter_map(|rest| rest.split_whitespace().next())
        .filter(|word| !word.starts_with('-'))
        .collect();
    assert!(!commands.is_empty(), "the README shows no command");
    for command in commands {
        asclepius(&[command, "--help"]);
    }
}

#[test]
fn files_the_readme_points_to_are_there() {
    let readme = fs_err::read_to_string(root().join("README.md")).expect("the README is committed");
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.filter(|link| !link.starts_with("http") && !link.starts_with('#')) {
        assert!(root().join(link).exists(), "README.md links to {link}, which does not exist");
    }
}
