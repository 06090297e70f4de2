//! The bytes of a file → the text that YAML is read from, or why there is none.

use crate::diagnostic::Diagnostic;
use crate::model::{Origin, RepoPath};

use super::cursor::Cursor;
use super::limits::BYTES;

/// The file as text: UTF-8 of at most 16 MiB and without the control characters that PyYAML refuses.
pub(super) fn decode<'a>(file: &RepoPath, bytes: &'a [u8]) -> Result<&'a str, Diagnostic> {
    if bytes.len() > BYTES {
        let size = bytes.len() / 1024 / 1024;
        return Err(Diagnostic::error("E0101", format!("the file has {size} MiB; at most 16 MiB are read"))
            .at(Origin::whole(file.clone()), "")
            .help("keep large data out of YAML files, or exclude this file from what is read"));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(not_utf8(Origin::whole(file.clone()), "the file is written in UTF-16, not in UTF-8"));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let (good, bad) = bytes.split_at(error.valid_up_to());
            let origin = place(file, &String::from_utf8_lossy(good), good.len(), 1);
            return Err(not_utf8(origin, &format!("the byte 0x{:02x} is not UTF-8 text", bad[0])));
        }
    };
    match text.char_indices().find(|(_, c)| !is_allowed(*c)) {
        None => Ok(text),
        Some((at, c)) => Err(Diagnostic::error(
            "E0102",
            format!("the control character U+{:04X} cannot stand in YAML", u32::from(c)),
        )
        .at(place(file, text, at, c.len_utf8()), "")
        .help("remove it, or write it as an escape such as `\\x1b` in double quotes")),
    }
}

fn not_utf8(origin: Origin, message: &str) -> Diagnostic {
    Diagnostic::error("E0100", message).at(origin, "").help("save the file as UTF-8")
}

fn place(file: &RepoPath, text: &str, at: usize, width: usize) -> Origin {
    let mut cursor = Cursor::new(text);
    while cursor.mark().byte < at {
        cursor.forward(1);
    }
    let mut span = cursor.mark().point();
    span.end += width;
    Origin::new(file.clone(), span)
}

/// What PyYAML's `Reader.NON_PRINTABLE` lets pass.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}
