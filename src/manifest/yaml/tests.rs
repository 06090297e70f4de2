use super::*;
use crate::manifest::node::Value;

fn load(text: &str) -> Result<Document, Vec<Diagnostic>> {
    read(&RepoPath::new("prefect.yaml"), text.as_bytes())
}

/// The only error of a text: `CODE line:column message / help`.
fn error(text: &str) -> String {
    let errors = load(text).expect_err(text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let span = errors[0].origin().unwrap().span;
    let help = errors[0].help.as_deref().unwrap();
    format!("{} {}:{} {} / {help}", errors[0].code, span.line, span.column, errors[0].message)
}

#[track_caller]
fn assert_error(text: &str, expected: &str) {
    assert_eq!(error(text), expected, "for {text:?}");
}

#[test]
fn unquoted_cron_and_other_indicators() {
    assert_error(
        "schedule:\n  cron: @daily\n",
        "E0106 2:9 unquoted text cannot start with `@` / put the whole value in quotes: `\"@daily\"`",
    );
    assert_error(
        "cron: */5 * * * *  # often\n",
        "E0106 1:7 `*/5 * * * *` starts with `*`, which makes it an alias / put the whole value in quotes: `\"*/5 * * * *\"`",
    );
    assert_error(
        "cron: * * * * *\n",
        "E0106 1:7 `* * * * *` starts with `*`, which makes it an alias / put the whole value in quotes: `\"* * * * *\"`",
    );
    assert_error(
        "a: %x \"y\"\n",
        "E0106 1:4 unquoted text cannot start with `%` / put the whole value in quotes: `'%x \"y\"'`",
    );
}

#[test]
fn unquoted_templates() {
    assert_error(
        "name: {{ flow }}\n",
        "E0105 1:7 the template `{{ flow }}` is not quoted; YAML reads its braces as a mapping / put the whole value in quotes: `\"{{ flow }}\"`",
    );
    assert_error(
        "image: {{ name }}-{{ tag }}  # x\n",
        "E0105 1:8 the template `{{ name }}-{{ tag }}` is not quoted; YAML reads its braces as a mapping / put the whole value in quotes: `\"{{ name }}-{{ tag }}\"`",
    );
    assert_error(
        "- {{ prefect.blocks.secret.x }}\n",
        "E0105 1:3 the template `{{ prefect.blocks.secret.x }}` is not quoted; YAML reads its braces as a mapping / put the whole value in quotes: `\"{{ prefect.blocks.secret.x }}\"`",
    );
    assert_error(
        "{{ x }}: 1\n",
        "E0105 1:1 the template `{{ x }}` is not quoted; YAML reads its braces as a mapping / put the whole value in quotes: `\"{{ x }}\"`",
    );
    let errors = load("a: {{ x }}\nb: {{ y }}\nc: !foo z\n").unwrap_err();
    let codes: Vec<_> = errors.iter().map(|e| (e.code, e.origin().unwrap().span.line)).collect();
    assert_eq!(codes, [("E0105", 1), ("E0105", 2), ("E0114", 3)]);
    assert!(load("a: x {{ y }}\nb: '{{ z }}'\n").is_ok());
}

#[test]
fn tabs() {
    assert_error(
        "a:\n\tb: 1\n",
        "E0104 2:1 the line is indented with a tab / indent with spaces; YAML forbids tabs there",
    );
    assert_error(
        "a: b\t# c\n",
        "E0104 1:5 a tab separates words outside of quotes / replace it with a space, or quote the text that holds it",
    );
}

#[test]
fn colons() {
    assert_error(
        "description: note: this\n",
        "E0107 1:18 the value `note: this` holds `: `, which makes it another mapping / put the whole value in quotes: `\"note: this\"`",
    );
    assert_error("a: 1\nb:2\nc: 3\n", "E0103 2:1 no space follows the colon of `b` / write `b: 2`");
    assert_error(
        "a: 1\nb\nc: 3\n",
        "E0103 2:1 `b` is neither a key, which ends with `: `, nor a list item, which starts with `- ` / add what is missing; or, if it continues the text above, indent it deeper",
    );
    assert_error("- a\n-b\n", "E0103 2:1 no space follows the dash of `-b` / write `- b`");
}

#[test]
fn indentation() {
    assert_error(
        "a:\n  b: 1\n c: 2\n",
        "E0109 3:2 the indentation of this line fits no block above it / indent it exactly as the other keys or items of its block; list items start with `- `, keys end with `:`",
    );
    assert_error(
        "a: 1\n b: 2\n",
        "E0109 2:2 the key `b` continues the value above it, because it is indented deeper / indent it exactly as the other keys of its mapping",
    );
    assert_error(
        "a: - b\n",
        "E0109 1:4 a list cannot start here with `- ` / start the list on a line of its own, below its key; or quote the text if no list is meant",
    );
    assert_error(
        "- a\nb: 1\n",
        "E0109 2:1 the indentation of this line fits no block above it / indent it exactly as the other keys or items of its block; list items start with `- `, keys end with `:`",
    );
}

#[test]
fn quotes_and_brackets() {
    assert_error("a: \"b\nc: 1\n", "E0108 1:4 the quote `\"` is never closed / add the closing quote");
    assert_error(
        "a: [b, c\nd: 1\n",
        "E0108 1:4 the bracket `[` is not closed / add the `]`, or put the value in quotes if it is text",
    );
    assert_error(
        "a: b\nc: {x: 1\n",
        "E0108 2:4 the bracket `{` is not closed / add the `}`, or put the value in quotes if it is text",
    );
    assert_error(
        "a: ]\n",
        "E0103 1:4 `]` stands where a value should stand / write a value, or quote it if the character is part of a text",
    );
    assert_error(
        "a: 'b' c\n",
        "E0103 1:8 something follows the closing quote / put the whole value inside the quotes; double a single quote, or escape a double one, within the text",
    );
    assert_error(
        "[http://x/a?b=c]\n",
        "E0103 1:12 `?` stands where `,` or `]` should stand / put text that holds special characters in quotes",
    );
    assert_error(
        "a: \"C:\\dir\"\n",
        "E0103 1:8 `\\d` is not an escape that double quotes know / double the backslash, or use single quotes, which know no escapes",
    );
}

#[test]
fn documents_anchors_tags_and_values() {
    assert_error(
        "a: 1\n---\nb: 2\n",
        "E0110 2:1 the file holds several YAML documents; only one is read / move what follows `---` to a file of its own, or remove the `---`",
    );
    assert_error(
        "a: &common 1\nb: *comon\n",
        "E0111 2:4 `*comon` names an anchor that is not defined before it / did you mean `common`?",
    );
    assert_error(
        "a: &x 1\nb: &x 2\n",
        "E0111 2:4 the anchor `&x` is defined twice / rename one of them, and the aliases that mean it",
    );
    assert_error(
        "a: &x [*x]\n",
        "E0111 1:8 `*x` stands inside the very value that it names / write the value out; a value that holds itself cannot be sent to an API",
    );
    assert_error(
        "? [a]\n: b\n",
        "E0112 1:3 a list cannot be the key of a mapping / use text as key; quote it if it starts with `{` or `[`",
    );
    assert_error(
        "<<: 1\n",
        "E0113 1:5 the merge key `<<` takes a mapping or a list of mappings, not text / give it an alias of a mapping: `<<: *name`",
    );
    assert_error(
        "a: !!python/name:os.system\n",
        "E0114 1:27 the tag `!!python/name:os.system` is not known / remove the tag, or quote the whole value if it is text that starts with `!`",
    );
    assert_error("a: =\n", "E0115 1:4 `=` cannot stand unquoted as a value / quote it: `\"=\"`");
    assert_error(
        "a: 2024-02-30\n",
        "E0115 1:4 `2024-02-30` looks like a date, but there is no such date or time / correct it, or quote it if it is text: `\"2024-02-30\"`",
    );
    assert_error(
        "a: 18446744073709551616\n",
        "E0116 1:4 the whole number `18446744073709551616` is too large / whole numbers go from -2^63 to 2^64 - 1; quote it if it is text: `\"18446744073709551616\"`",
    );
}

#[test]
fn bytes_that_are_no_text() {
    let bytes = |bytes: &[u8]| {
        let errors = read(&RepoPath::new("a.yaml"), bytes).unwrap_err();
        let span = errors[0].origin().unwrap().span;
        (errors[0].code, span.line, span.column, span.start)
    };
    assert_eq!(
        bytes("a: é\nb: ".as_bytes().iter().copied().chain([0xff]).collect::<Vec<_>>().as_slice()),
        ("E0100", 2, 4, 9)
    );
    assert_eq!(bytes(b"\xff\xfea\0"), ("E0100", 1, 1, 0));
    assert_eq!(bytes("a: é\u{1b}".as_bytes()), ("E0102", 1, 5, 5));
    assert_eq!(bytes(b"a\0"), ("E0102", 1, 2, 1));
}

#[test]
fn duplicate_keys_are_warned_of_with_both_places() {
    let document =
        load("1: a\nb: x\ntrue: c\nm: &m {k: 1}\nn: {<<: *m, k: 2}\no: [&d {q: 1, q: 2}, *d, *d]\n").unwrap();
    let told: Vec<String> = document
        .warnings
        .iter()
        .map(|w| format!("{} {} {} {}", w.code, w.message, w.labels[0].origin, w.labels[1].origin))
        .collect();
    assert_eq!(
        told,
        [
            "W0100 `1` and `true` are the same key; the last one counts prefect.yaml:3:1 prefect.yaml:1:1",
            "W0100 `q` is written twice in one mapping; the last one counts prefect.yaml:6:15 prefect.yaml:6:9",
        ]
    );
    let (key, value) = &document.root.entries()[0];
    assert_eq!((&key.value, value.as_str()), (&Value::Int(1.into()), Some("c")));
}

#[test]
fn an_empty_file_is_null() {
    for text in ["", "\n", "# only\n", "---\n", "\u{feff}"] {
        let document = load(text).unwrap();
        assert!(document.root.is_null(), "{text:?}");
        assert_eq!(document.root.span.line.max(1), document.root.span.line);
    }
}

#[test]
fn every_value_knows_its_place() {
    let text = "é: &x !!str 'a b'\nl:\n- 1\n-   {k: [2, ]}\nm:\n  n: |\n    text\n\n\no: *x\np:\n";
    let root = load(text).unwrap().root;
    let at = |node: &Node| (&text[node.span.start..node.span.end], node.span.line, node.span.column);
    let whole = |key: &str| at(root.get(key).unwrap());
    assert_eq!(at(root.entry("é").unwrap().0), ("é", 1, 1));
    assert_eq!(whole("é"), ("'a b'", 1, 13));
    assert_eq!(whole("l"), ("- 1\n-   {k: [2, ]}", 3, 1));
    assert_eq!(at(&root.get("l").unwrap().items()[1]), ("{k: [2, ]}", 4, 5));
    assert_eq!(whole("m"), ("n: |\n    text", 6, 3));
    assert_eq!(at(root.get("m").unwrap().get("n").unwrap()), ("|\n    text", 6, 6));
    assert_eq!(whole("o"), ("'a b'", 1, 13));
    assert_eq!(whole("p"), ("", 11, 3));
    assert_eq!((root.span.start, root.span.line), (0, 1));
}

#[test]
fn merged_keys_overridden_here_point_here() {
    let root = load("a: &a {k: 1}\nb:\n  <<: *a\n  k: 2\n").unwrap().root;
    let (key, value) = root.get("b").unwrap().entry("k").unwrap();
    assert_eq!((key.span.line, value.span.line), (4, 4));
}
