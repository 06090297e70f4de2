//! The page behind every diagnostic code: what it means and what to do.

/// One page.
pub struct Page {
    /// The code.
    pub code: &'static str,
    /// What is wrong, in a line.
    pub title: &'static str,
    /// Why it matters and what to do.
    pub text: &'static str,
}

/// All pages, in the order of their codes.
pub static PAGES: &[Page] = &[];

/// The page of a code.
pub fn page(code: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.code == code)
}

/// The line of a code; the code itself where there is none.
pub fn title(code: &'static str) -> &'static str {
    page(code).map_or(code, |page| page.title)
}
