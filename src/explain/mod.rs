//! The page behind every diagnostic code: what it means and what to do.

mod api;
mod declarations;
mod flows;
mod objects;
mod plan;
mod project;
mod resources;
mod schedules;
mod steps;
mod templates;
mod yaml;

use std::sync::LazyLock;

/// One page.
#[derive(Debug)]
pub struct Page {
    /// The code.
    pub code: &'static str,
    /// What is wrong, in a line.
    pub title: &'static str,
    /// Why it matters and what to do.
    pub text: &'static str,
}

/// All pages, by the number of their codes; of two with one number the error comes first.
pub static PAGES: LazyLock<Vec<&'static Page>> = LazyLock::new(|| {
    let chapters = [
        yaml::PAGES,
        project::PAGES,
        declarations::PAGES,
        schedules::PAGES,
        flows::PAGES,
        templates::PAGES,
        plan::PAGES,
        api::PAGES,
        steps::PAGES,
        resources::PAGES,
        objects::PAGES,
    ];
    chapters.into_iter().flatten().collect()
});

/// The page of a code.
pub fn page(code: &str) -> Option<&'static Page> {
    PAGES.iter().copied().find(|page| page.code == code)
}

/// The line of a code; the code itself where there is none.
pub fn title(code: &'static str) -> &'static str {
    page(code).map_or(code, |page| page.title)
}
