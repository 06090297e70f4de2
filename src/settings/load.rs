//! `load`: reads the places settings come from, and has them resolved.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::SettingsError;
use super::inputs::{FileText, Flags, Inputs, Profiles};
use super::resolve::profiles_path;
use super::{Settings, resolve};
use crate::model::Secret;

/// Settings files are small; more than this is none.
const LARGEST: u64 = 1024 * 1024;

/// Reads the environment, the settings files of `dir` and the user's profiles, and resolves them.
///
/// With `--untrusted` nothing is read at all.
pub fn load(flags: Flags, dir: &Path) -> Result<Settings, SettingsError> {
    resolve(&inputs(flags, dir)?)
}

/// Reads the places settings come from.
pub fn inputs(flags: Flags, dir: &Path) -> Result<Inputs, SettingsError> {
    let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
    if flags.untrusted {
        return Ok(Inputs { flags, home, ..Inputs::default() });
    }
    let api_key = flags.api_key_file.as_deref().map(key_in).transpose()?;
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let mut inputs = Inputs {
        flags,
        api_key,
        env,
        dotenv: of_tree(dir, ".env")?,
        prefect_toml: of_tree(dir, "prefect.toml")?,
        pyproject: of_tree(dir, "pyproject.toml")?,
        profiles: None,
        home,
    };
    let (path, chosen_by_tree) = profiles_path(&inputs)?;
    let path = dir.join(path);
    inputs.profiles = read(&path)?.map(|text| Profiles {
        file: FileText { name: path.display().to_string(), text, outside: true },
        chosen_by_tree,
    });
    Ok(inputs)
}

fn of_tree(dir: &Path, name: &str) -> Result<Option<FileText>, SettingsError> {
    let path = dir.join(name);
    let Some(text) = read(&path)? else { return Ok(None) };
    let outside = match (path.canonicalize(), dir.canonicalize()) {
        (Ok(path), Ok(dir)) => !path.starts_with(dir),
        _ => true,
    };
    Ok(Some(FileText { name: name.to_owned(), text, outside }))
}

/// The text of a file, if there is one. A directory of that name is none: `.env` often is a virtual environment.
fn read(path: &Path) -> Result<Option<String>, SettingsError> {
    let bad = |problem: String| SettingsError::BadFile { file: path.display().to_string(), problem };
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => return Ok(None),
        Ok(meta) if meta.len() > LARGEST => return Err(bad("is larger than 1 MiB, which no settings file is".into())),
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(bad(format!("cannot be read: {error}"))),
    }
    fs::read_to_string(path).map(Some).map_err(|error| bad(format!("cannot be read: {error}")))
}

fn key_in(path: &Path) -> Result<Secret, SettingsError> {
    let bad = |problem: &str| SettingsError::BadFile {
        file: path.display().to_string(),
        problem: format!("{problem}, but `--api-key-file` needs a key from it"),
    };
    let text = read(path)?.ok_or_else(|| bad("does not exist"))?;
    let key = text.trim();
    if key.is_empty() {
        return Err(bad("is empty"));
    }
    if key.chars().any(char::is_control) {
        return Err(bad("holds more than one line"));
    }
    Ok(Secret::text(key))
}
