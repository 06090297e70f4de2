//! `--also FORM=FILE`: the same report in more forms, each at the end of a file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;

use super::exit::{Exit, failed};
use crate::report::drift::DriftReport;
use crate::report::{Report, github, markdown, sarif};

/// The most that a job summary of GitHub holds is a MiB, in bytes; a UTF-16 unit takes three at most.
const LONGEST_SUMMARY: usize = (1 << 20) / 3;

/// A form, and the file for it.
#[derive(Clone, Debug)]
pub struct Also {
    form: Form,
    file: PathBuf,
}

/// A form for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For a job summary.
    Markdown,
    /// For machines.
    Json,
    /// Annotations of GitHub.
    Github,
    /// Diagnostics only.
    Sarif,
    /// `name=value` lines, for GITHUB_OUTPUT and dotenv artifacts.
    Outputs,
}

impl FromStr for Also {
    type Err = String;

    fn from_str(text: &str) -> Result<Also, String> {
        let (form, file) = text.split_once('=').filter(|(_, file)| !file.is_empty()).ok_or("it is not FORM=FILE")?;
        let known = || Form::value_variants().iter().filter_map(Form::to_possible_value);
        let names = || known().map(|one| one.get_name().to_owned()).collect::<Vec<_>>().join(", ");
        let form = Form::from_str(form, false).map_err(|_| format!("`{form}` is none of the forms {}", names()))?;
        Ok(Also { form, file: file.into() })
    }
}

/// Writes the forms of a plan or of what was applied. `dir` is where the files of the report are.
///
/// # Errors
/// A file that cannot be written, after saying so.
pub fn write(all: &[Also], dir: &Path, report: &Report) -> Result<(), Exit> {
    each(all, |form| match form {
        Form::Markdown => markdown::fitting(&markdown::whole(report), LONGEST_SUMMARY, ""),
        Form::Json => format!("{:#}\n", report.to_json()),
        Form::Github => github::annotations_below(report, &below(dir)),
        Form::Sarif => format!("{:#}\n", sarif::sarif_below(&report.diagnostics, &below(dir))),
        Form::Outputs => github::outputs(report),
    })
}

/// Writes the forms of what drifted.
///
/// # Errors
/// A file that cannot be written, after saying so.
pub fn write_drift(all: &[Also], dir: &Path, found: &DriftReport) -> Result<(), Exit> {
    each(all, |form| match form {
        Form::Markdown => markdown::fitting(&found.markdown(), LONGEST_SUMMARY, ""),
        Form::Json => format!("{:#}\n", found.to_json()),
        Form::Github => github::annotations_below(&found.report, &below(dir)),
        Form::Sarif => format!("{:#}\n", sarif::sarif_below(&found.report.diagnostics, &below(dir))),
        Form::Outputs => github::drift_outputs(found),
    })
}

fn each(all: &[Also], text: impl Fn(Form) -> String) -> Result<(), Exit> {
    let mut ended = Ok(());
    for Also { form, file } in all {
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
        if let Err(error) = opened.and_then(|mut opened| opened.write_all(text(*form).as_bytes())) {
            ended = Err(failed(&format!("{} cannot be written: {error}", file.display())));
        }
    }
    ended
}

/// What stands before a file's name in annotations and SARIF: GitHub counts from the top of what it checked out.
pub fn below(dir: &Path) -> String {
    let Some(top) = std::env::var_os("GITHUB_WORKSPACE").filter(|top| !top.is_empty()) else { return String::new() };
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let path =
        real(dir).zip(real(Path::new(&top))).and_then(|(dir, top)| dir.strip_prefix(top).map(Path::to_owned).ok());
    match path.as_deref().and_then(Path::to_str) {
        None | Some("") => String::new(),
        Some(path) => format!("{path}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_a_file_are_told_apart() {
        let one: Also = "markdown=a=b.md".parse().expect("good");
        assert_eq!((one.form, one.file), (Form::Markdown, PathBuf::from("a=b.md")));
        for bad in ["markdown", "markdown=", "=x", "html=x"] {
            assert!(bad.parse::<Also>().is_err(), "{bad}");
        }
    }
}
