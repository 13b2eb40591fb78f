//! Holds what the program writes to SCHEMA.md.

use serde_json::Value;

const SCHEMA: &str = include_str!("../../SCHEMA.md");

/// Every member of every result is named in the section of its test, or among those that tests share.
pub(crate) fn assert_documented(report: &Value) {
    let (shared, _) = SCHEMA.split_once("\n## ").expect("sections");
    for result in report["results"].as_array().expect("an array") {
        let test = result["test"].as_str().expect("which test?");
        let section = section(test);
        for member in result.as_object().expect("a record").keys() {
            let name = format!("`{member}`");
            assert!(
                member == "test" || section.contains(&name) || shared.contains(&name),
                "{name} of {test} is not in SCHEMA.md"
            );
        }
        if let Some(figure) = result.get("figure") {
            let name = format!("`{}`", figure.as_str().expect("a name"));
            assert!(section.contains(&name), "{name} is not in SCHEMA.md");
        }
    }
}

fn section(test: &str) -> &'static str {
    let mut sections = SCHEMA.split("\n## ").skip(1);
    let of_test = |section: &&str| {
        let heading = section.lines().next().unwrap_or_default();
        heading.contains(&format!("`{test}`"))
    };
    sections
        .find(of_test)
        .unwrap_or_else(|| panic!("{test} is not in SCHEMA.md"))
}
