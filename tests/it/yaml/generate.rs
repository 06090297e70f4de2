//! Makes YAML texts from a seed: scalars in every position, random documents, and documents with random damage.

/// A small generator of random numbers (xorshift64*): the same seed gives the same texts for ever.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Unquoted texts whose type or form is in doubt.
#[rustfmt::skip]
pub const SCALARS: &[&str] = &[
    "", "~", "null", "Null", "NULL", "nULL", "none", "None", "yes", "Yes", "YES", "yEs", "no", "No", "NO", "on", "On", "ON", "off",
    "Off", "OFF", "true", "True", "TRUE", "tRUE", "false", "False", "FALSE", "y", "n", "Y", "N", "0", "-0", "+0", "00", "000", "01",
    "017", "-017", "08", "09", "0o17", "0O17", "0x1F", "0X1F", "0x", "0x_", "0x_1", "-0x1f", "0b101", "0B101", "0b", "0b_", "0b2",
    "1", "+1", "-1", "--1", "1_000", "1__0", "_1", "1_", "0_", "0_7", "0_8", "1:30", "1:3", "1:60", "01:30", "0:30", "1:30:00", "190:20:30",
    "-1:30", "1_0:30", "12:30:45", "3306:3306", "8080:80", "22:22", "1:2:3:4", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1e3", "1E3", "1.0e3", "1.0e+3",
    "1.0E-3", "1.e+3", "1.e3", ".5", "-.5", "+.5", "5.", ".", "..", "...", "-.", "._5", ".5_", "1_0.5_0", "1.5e+400", "0.1", "3.10", "1.2.3",
    "1..2", ".inf", "-.inf", "+.inf", ".Inf", ".INF", ".iNF", "inf", ".nan", "-.nan", ".NaN", ".NAN", "nan", "12:30:45.5", "1:30.", "0:30.5",
    "190:20:30.15", "1:60.5", "2024-01-01", "2024-1-1", "2024-01-1", "2024-13-01", "2024-02-30", "0000-01-01", "9999-12-31",
    "2024-01-01T00:00:00Z", "2024-01-01t00:00:00z", "2024-01-01 00:00:00", "2024-01-01  00:00:00", "2024-1-1 1:00:00", "2024-01-01T10:00",
    "2024-01-01 24:00:00", "2024-01-01 23:59:60", "2024-01-01T00:00:00.5", "2024-01-01T00:00:00.", "2024-01-01T00:00:00.1234567",
    "2024-01-01T00:00:00+02:00", "2024-01-01T00:00:00 -5", "2024-01-01T00:00:00+2:30", "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00+23:99",
    "2024-01-01T00:00:00 Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:00", "24-01-01", "=", "==", "<<", "<", "<<<", "-", "--", "---", "-a", "- a",
    "?", "?a", "? a", ":", ":a", ": a", "::", "a:", "a:b", "a: b", "a?b", "a?", "a,b", ",", "a]", "]", "[", "[]", "[a", "{}", "{", "}", "{a}", "{a: b}",
    "{{ a }}", "{{a}}", "x{{ a }}", "{{ a }}x", "$", "$A", "@a", "`a", "%a", "%", "50%", "&", "&a", "&a b", "*", "*a", "* * * * *", "*/5 * * * *", "0 9 * * *", "!", "!a",
    "!!str", "!!str a", "!!int 3", "!!x a", "!<a>", "! 12", "|", "|a", ">", ">a", "'", "''", "'a'", "'a'b", "'it''s'", "\"", "\"\"", "\"a\"", "\"a\"b", "\"\\x41\"", "\"\\q\"",
    "\"\\u263a\"", "\"\\ud800\"", "\"\\U0010ffff\"", "\"\\U00110000\"", "\"\\", "'\\'", "#", "#a", "a#", "a #", "a#b", "a #b", "\t", "a\tb", "a\t", "\ta", "a\\b", "C:\\a", "~a", "~/x",
    "é", "\u{1f600}", "\u{a0}", "a\u{85}b", "a\u{2028}b", "\u{feff}a", "a\u{7f}", "http://x:80/a?b=c", "a b", "a  b", " a", "a ", "1 2", "true false", "a: ", "a : b", "a :b",
];

/// What stands before and after a scalar.
#[rustfmt::skip]
const AROUND: &[(&str, &str)] = &[
    ("", ""), ("", "\n"), ("- ", "\n- x\n"), ("k: ", ""), ("k: ", "\nl: x\n"), ("", ": v\n"), ("a: 1\n", ": v\n"), ("[", "]"), ("[x, ", ", y]\n"), ("{k: ", "}"), ("{", ": v}\n"),
    ("{", "}"), ("[", ": v]"), ("? ", "\n: v\n"), ("k:\n  ", "\n"), ("k:\n  x\n  ", "\n"), ("k: |\n  ", "\n"), ("k: >-\n  ", "\n\n  y\n"), ("k: ", " # c\n"), ("k: \"", "\"\n"), ("k: '", "'\n"), ("! ", "\n"),
    ("!!str ", "\n"), ("!!int ", "\n"), ("!!float ", "\n"), ("!!bool ", "\n"), ("!!null ", "\n"), ("!!timestamp ", "\n"), ("!!binary ", "\n"), ("&x ", "\n"), ("!!int \"", "\"\n"), ("!!float '", "'\n"), ("! |\n  ", "\n"),
    ("--- ", "\n"), ("&a a: &b ", "\nc: *b\n"), ("!!set {", "}"), ("!!omap [", "]"), ("!!pairs [{", ": 1}]"), ("<<: ", "\n"), ("- {<<: {a: 1}, ", ": 2}\n"), ("{a: 1, b: ", ", a: 2}"), ("1: a\n", ": b\n"),
];

/// Every scalar in every position.
pub fn grid() -> Vec<String> {
    SCALARS.iter().flat_map(|s| AROUND.iter().map(move |(before, after)| format!("{before}{s}{after}"))).collect()
}

/// A random document.
pub fn document(random: &mut Random) -> String {
    let mut out = String::new();
    if random.chance(10) {
        out.push_str(random.pick(&[
            "---\n",
            "%YAML 1.2\n---\n",
            "# comment\n",
            "--- # x\n",
            "\u{feff}",
            "\n\n",
            "%TAG !y! tag:yaml.org,2002:\n--- \n",
        ]));
    }
    let mut anchors = 0;
    block(random, &mut out, 0, 4, &mut anchors);
    if random.chance(5) {
        out.push_str(random.pick(&["...\n", "---\n", "# end", "  \n"]));
    }
    out
}

fn indent(out: &mut String, by: usize) {
    out.extend(std::iter::repeat_n(' ', by));
}

/// A mapping or list in lines that start at `column`.
fn block(random: &mut Random, out: &mut String, column: usize, depth: usize, anchors: &mut usize) {
    let list = random.chance(35);
    for i in 0..1 + random.below(4) {
        if random.chance(8) {
            out.push_str(random.pick(&["\n", "# note\n", "  \n", "        # far\n"]));
        }
        indent(out, column);
        if list {
            out.push_str(random.pick(&["- ", "-   ", "-  "]));
        } else if *anchors > 0 && random.chance(8) {
            out.push_str("<<: ");
            if random.chance(70) {
                out.push_str(&format!("*a{}\n", random.below(*anchors)));
            } else {
                out.push_str(&format!("[*a{}, {{k0: m, z: 1}}]\n", random.below(*anchors)));
            }
            continue;
        } else {
            key(random, out, i);
            out.push_str(random.pick(&[": ", ": ", ":  ", " : "]));
        }
        value(random, out, column, depth, anchors);
    }
}

fn key(random: &mut Random, out: &mut String, i: usize) {
    match random.below(10) {
        0 => out.push_str(random.pick(&[
            "1",
            "true",
            "1.0",
            "yes",
            "null",
            "~",
            "2024-01-01",
            "on",
            "0x1",
            "\"<<\"",
            "=",
            "'1'",
            ".nan",
        ])),
        1 => out.push_str(&format!("\"k{i}\"")),
        2 => out.push_str("k0"),
        _ => out.push_str(&format!("k{i}")),
    }
}

fn value(random: &mut Random, out: &mut String, column: usize, depth: usize, anchors: &mut usize) {
    if *anchors > 0 && random.chance(6) {
        out.push_str(&format!("*a{}\n", random.below(*anchors)));
        return;
    }
    if random.chance(8) {
        out.push_str(&format!("&a{anchors} "));
        *anchors += 1;
    }
    if random.chance(4) {
        out.push_str(random.pick(&["!!str ", "!!map ", "!!seq ", "!!set ", "! ", "!!int ", "!!omap ", "!!pairs "]));
    }
    match random.below(if depth == 0 { 5 } else { 9 }) {
        0 | 1 => {
            out.push_str(random.pick(SCALARS));
            out.push_str(random.pick(&["\n", "\n", " # c\n", "\r\n", "  \n"]));
        }
        2 => {
            out.push_str(random.pick(&["plain text", "'single ''quoted'", "\"double \\n quoted\"", "a\n", "two\n"]));
            if random.chance(20) {
                out.push('\n');
                indent(out, column + 1 + random.below(3));
                out.push_str("more");
            }
            out.push('\n');
        }
        3 => block_text(random, out, column),
        4 | 5 => {
            flow(random, out, depth.min(3), *anchors);
            out.push('\n');
        }
        _ => {
            out.push('\n');
            let deeper = column + if random.chance(10) { 0 } else { 1 + random.below(4) };
            block(random, out, deeper, depth - 1, anchors);
        }
    }
}

fn block_text(random: &mut Random, out: &mut String, column: usize) {
    out.push_str(random.pick(&["|", ">", "|-", ">-", "|+", ">+", "|2", ">1-", "|+1", "|3"]));
    out.push_str(random.pick(&["\n", "\n", "  # c\n", "\n\n", "\n      \n"]));
    for _ in 0..random.below(4) {
        indent(out, column + random.below(5));
        out.push_str(random.pick(&["text", "# no comment", "a: b", "- c", "\ttab", "x  ", "", "  deep", "{{ t }}"]));
        out.push('\n');
        if random.chance(25) {
            out.push('\n');
        }
    }
}

fn flow(random: &mut Random, out: &mut String, depth: usize, anchors: usize) {
    let list = random.chance(50);
    out.push_str(if list { "[" } else { "{" });
    for i in 0..random.below(4) {
        if i > 0 {
            out.push_str(random.pick(&[", ", ",", " , ", ",\n   "]));
        }
        if !list || random.chance(15) {
            if random.chance(8) {
                out.push_str("? ");
            }
            key(random, out, i);
            out.push_str(random.pick(&[": ", ":", " : ", ": ", ""]));
        }
        if anchors > 0 && random.chance(8) {
            out.push_str(&format!("*a{} ", random.below(anchors)));
        } else if depth > 0 && random.chance(30) {
            flow(random, out, depth - 1, anchors);
        } else {
            out.push_str(random.pick(SCALARS));
        }
    }
    out.push_str(random.pick(&["", "", " ", ",", "\n"]));
    out.push_str(if list { "]" } else { "}" });
}

/// What damage inserts.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    " ", "  ", "\t", "\n", "\n\n", ":", ": ", "-", "- ", "?", "? ", ",", "[", "]", "{", "}", "#", " #", "&", "*", "!", "|", ">", "'", "\"", "%", "@", "`", "=", "<<: ", "~", "a", "1", "0", ".",
    "\n  ", "\n- ", "\n--- ", "---\n", "...\n", "{{ x }}", "&a ", "*a", "!!str ", "|\n", ">\n", "é", "\\", "\r\n", "\r", "\u{85}", "\u{2028}", "\u{feff}", "a: ", "''", "\"\"",
];

/// The text with one to three random changes.
pub fn damage(random: &mut Random, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..1 + random.below(3) {
        let at = random.below(chars.len() + 1);
        match random.below(20) {
            0..9 => drop(chars.splice(at..at, random.pick(PIECES).chars())),
            9..15 => drop(chars.drain(at..(at + 1 + random.below(3)).min(chars.len()))),
            15..18 => drop(chars.splice(at..(at + 1).min(chars.len()), random.pick(PIECES).chars())),
            _ => {
                let from = random.below(chars.len() + 1);
                let copied = chars[from..(from + 1 + random.below(12)).min(chars.len())].to_vec();
                chars.splice(at..at, copied);
            }
        }
    }
    chars.into_iter().collect()
}

/// A few lines out of a text.
pub fn excerpt(random: &mut Random, text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = random.below(lines.len());
    let to = (from + 1 + random.below(9)).min(lines.len());
    lines[from..to].iter().flat_map(|line| [line, "\n"]).collect()
}
