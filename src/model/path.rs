//! `Path`: a place inside a tree, as people read it: `schedules[daily].cron`.

use std::fmt;
use std::str::FromStr;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seg {
    /// A key of a mapping.
    Key(String),
    /// An item of a list, known by its position or by its own name.
    Item(String),
}

/// A place inside a tree. The empty path is the whole tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub Vec<Seg>);

impl Path {
    /// The whole tree.
    pub fn root() -> Self {
        Path::default()
    }

    /// A top-level key.
    pub fn of(key: &str) -> Self {
        Path(vec![Seg::Key(key.to_owned())])
    }

    /// This path and a key below it.
    pub fn key(&self, key: &str) -> Self {
        self.with(Seg::Key(key.to_owned()))
    }

    /// This path and an item below it.
    pub fn item(&self, item: impl ToString) -> Self {
        self.with(Seg::Item(item.to_string()))
    }

    fn with(&self, seg: Seg) -> Self {
        let mut segs = self.0.clone();
        segs.push(seg);
        Path(segs)
    }

    /// Whether `self` is `other` or lies below it.
    pub fn starts_with(&self, other: &Path) -> bool {
        self.0.starts_with(&other.0)
    }
}

/// A key that can stand unquoted between dots.
fn is_plain(key: &str) -> bool {
    !key.is_empty() && !key.contains(['.', '[', ']', '"', '\\']) && !key.contains(char::is_whitespace)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, seg) in self.0.iter().enumerate() {
            match seg {
                Seg::Key(key) if is_plain(key) => {
                    if i > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(key)?;
                }
                Seg::Key(key) => {
                    if i > 0 {
                        f.write_str(".")?;
                    }
                    write!(f, "{key:?}")?;
                }
                Seg::Item(item) if is_plain(item) => write!(f, "[{item}]")?,
                Seg::Item(item) => write!(f, "[{item:?}]")?,
            }
        }
        Ok(())
    }
}

/// Reads what `Display` prints.
impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut segs = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (word, after) = word(inner, ']')?;
                rest = after.strip_prefix(']').ok_or_else(|| format!("`{text}` lacks a `]`"))?;
                segs.push(Seg::Item(word));
            } else {
                let start = if segs.is_empty() { rest } else { rest.strip_prefix('.').unwrap_or(rest) };
                let (word, after) = word(start, '.')?;
                rest = after;
                segs.push(Seg::Key(word));
            }
        }
        Ok(Path(segs))
    }
}

/// The next word, quoted or up to `end` or a bracket, and what follows it.
fn word(text: &str, end: char) -> Result<(String, &str), String> {
    if text.starts_with('"') {
        let mut escaped = false;
        for (i, c) in text.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return Ok((unquote(&text[1..i]), &text[i + 1..])),
                _ => {}
            }
        }
        return Err(format!("`{text}` lacks a closing quote"));
    }
    let stop = text.find([end, '[', ']']).unwrap_or(text.len());
    if text.is_empty() {
        return Err("its last part is missing".to_owned());
    }
    if stop == 0 {
        return Err(format!("a part is missing before `{text}`"));
    }
    Ok((text[..stop].to_owned(), &text[stop..]))
}

/// Undoes Rust's string escapes as far as `{:?}` writes them.
fn unquote(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('0') => out.push('\0'),
            Some('u') => {
                let code: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                out.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_reads_as_people_write_it() {
        let path = Path::of("schedules").item("daily").key("cron");
        assert_eq!(path.to_string(), "schedules[daily].cron");
        assert_eq!("schedules[daily].cron".parse(), Ok(path));
        assert_eq!(Path::of("env").key("a.b").to_string(), r#"env."a.b""#);
    }

    proptest! {
        #[test]
        fn what_it_prints_parses_to_itself(words in prop::collection::vec(("\\PC{0,6}", any::<bool>()), 0..5)) {
            let segs: Vec<Seg> = words.into_iter().map(|(w, key)| if key { Seg::Key(w) } else { Seg::Item(w) }).collect();
            let path = Path(segs);
            prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
        }
    }
}
