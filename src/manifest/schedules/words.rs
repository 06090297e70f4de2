//! Splitting text as Python's `str.split()` does.

/// Splits at every run of white space in Python's sense, which includes the ASCII separators 0x1c to 0x1f.
pub fn split_whitespace(text: &str) -> Vec<&str> {
    text.split(is_space).filter(|word| !word.is_empty()).collect()
}

/// Python's `str.isspace` for one character.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
