//! The JSON of YAML values against what Prefect's own models dump.

use reconcile::manifest::{json_mode, yaml};
use reconcile::model::RepoPath;
use serde_json::Value as Json;

use crate::yaml::ask;

const TEXTS: &[&str] = &[
    "[null, true, 1, -1, 1.0, -0.0, 0.1, 1.0e+16, 1.0e+300, 18446744073709551615, text, '', 'é']",
    "[.inf, -.inf, .nan]",
    "[2024-01-01, 0001-01-01, 9999-12-31]",
    "[2024-01-01 01:00:00, 2024-01-01 01:00:00.1, 2024-01-01 01:00:00.123456]",
    "[2024-01-01T00:00:00Z, 2024-01-01T00:00:00.120Z, 2024-01-01T00:00:00+00:00, 9999-12-31T23:59:59Z]",
    "[2024-01-01T00:00:00+05:30, 2024-01-01T00:00:00-05, 2024-01-01T00:00:00 -0:30, 2024-01-01T00:00:00+23:59]",
    "[!!binary aGVsbG8=, !!binary '', !!omap [{a: 1}], !!pairs [{a: 1}, {1: 2}], !!set {a}, !!set {1, 1.0}]",
    "!!binary //79",
    "{!!binary //79: 1}",
    "[1, !!binary //79]",
    "{1: a, -1: b, 18446744073709551615: c}",
    "{true: a, no: b, null: c}",
    "{1: a, '1': b}",
    "{'1': a, x: c, 1: b}",
    "{1.5: a, 1.0: b, -0.0: c, 0.1: d, 123456789.123: e, 0.0001: f, 0.00001: g, 0.000012345: h}",
    "{1.0e+15: a, 1.0e+16: b, 1.5e+16: c, 1.0e+20: d, 1.0e-7: e, 1.7976931348623157e+308: f, 5.0e-324: g, 9007199254740993.0: h}",
    "{.inf: a, -.inf: b, .nan: c}",
    "{2024-01-01: a, 2024-01-01 10:00:00: b, 2024-01-01T10:00:00Z: c, 2024-01-01T10:00:00.5+02:00: d}",
    "{!!binary aGVsbG8=: a}",
    "{1: {2: {3: [{4: 5}]}}}",
    "{a: &a {b: 1}, c: *a, d: {<<: *a, e: 2}}",
];

#[test]
fn json_as_prefect_dumps_it() {
    let texts: Vec<String> = TEXTS.iter().map(|text| (*text).to_owned()).collect();
    let answers = ask("json_mode.py", &texts);
    assert_eq!(answers.len(), TEXTS.len());
    let file = RepoPath::new("prefect.yaml");
    for (text, answer) in TEXTS.iter().zip(answers) {
        let document = yaml::read(&file, text.as_bytes()).expect(text);
        let ours = json_mode::tree(&file, &document.root);
        match answer.as_str() {
            // Compared as text: `1` and `1.0`, and the order of keys, count.
            Some(dumped) => {
                let expected: Json = serde_json::from_str(dumped).expect("JSON");
                let ours = ours.expect(text).revealed(&|_| None).expect("nothing is unknown");
                assert_eq!(ours.to_string(), expected.to_string(), "{text}");
            }
            None => assert_eq!(ours.expect_err(text)[0].code, "E0115", "{text}"),
        }
    }
}
