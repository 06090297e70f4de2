//! Files of secrets: read inside the repository or below `secret_dirs`, and decrypted where they are encrypted.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::model::Secret;
use crate::plan::resources::SecretFile;

use super::Request;
use super::read::Reading;

/// No secret is larger, in bytes, encrypted or not.
const LARGEST: u64 = 1 << 20;

/// How long `sops` may take: it may ask a key service far away.
const PATIENCE: Duration = Duration::from_secs(60);

/// How every file begins that `age` writes, in binary and as text.
const AGE: [&[u8]; 2] = [b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----"];

type Bytes = Zeroizing<Vec<u8>>;

/// What a file holds, decrypted, or why that cannot be told.
pub fn secret(request: &Request, reading: &Reading, file: &SecretFile, trusted: bool) -> Result<Secret, String> {
    let bytes = Zeroizing::new(match Path::new(&file.path) {
        // `secret_dirs` is the repository's own word.
        path if path.is_absolute() && !trusted => return Err("it lies outside of the repository".to_owned()),
        path if path.is_absolute() => outside(reading, path)?,
        _ => {
            let bytes = reading.worktree.read(&file.dir.join(&file.path)).map_err(|error| error.to_string())?;
            bytes.ok_or_else(|| "there is no such file".to_owned())?
        }
    });
    let is_age = AGE.iter().any(|start| bytes.starts_with(start));
    let bytes = match (file.sops, is_age) {
        (false, false) if file.path.ends_with(".age") => return Err("it is not an age file".to_owned()),
        (false, false) => bytes,
        (true, _) | (false, true) if !trusted => return Err("it is encrypted, and no key is looked for".to_owned()),
        (true, _) => by_sops(&request.environment, &file.path, &bytes)?,
        (false, true) => by_age(&request.environment, &bytes)?,
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not text".to_owned())?;
    Ok(Secret::text(text.strip_suffix('\n').unwrap_or(text)))
}

/// A file outside the repository, below one of the directories that the project names; links do not lead out of them.
fn outside(reading: &Reading, path: &Path) -> Result<Vec<u8>, String> {
    let real = path.canonicalize().map_err(|error| error.to_string())?;
    let mut dirs = reading.project.secret_dirs.iter().map(|dir| reading.worktree.root().join(dir));
    if !dirs.any(|dir| dir.canonicalize().is_ok_and(|dir| real.starts_with(dir))) {
        return Err("it lies in no directory of `secret_dirs`".to_owned());
    }
    let meta = std::fs::metadata(&real).map_err(|error| error.to_string())?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err("it is no file, or larger than 1 MiB".to_owned());
    }
    std::fs::read(&real).map_err(|error| error.to_string())
}

/// Decrypts by the user's own identities. Only the environment says where they are, never the repository.
fn by_age(env: &BTreeMap<String, String>, bytes: &[u8]) -> Result<Bytes, String> {
    let decryptor = age::Decryptor::new_buffered(age::armor::ArmoredReader::new(bytes))
        .map_err(|_| "its age header is damaged".to_owned())?;
    if decryptor.is_scrypt() {
        return Err("it is encrypted with a passphrase, which nobody is asked for; encrypt it for a key".to_owned());
    }
    let identities = identities(env)?;
    let all = identities.iter().map(|identity| &**identity as &dyn age::Identity);
    let plain = decryptor.decrypt(all).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => "it is encrypted for other age keys than ours".to_owned(),
        _ => "age cannot decrypt it: it is damaged".to_owned(),
    })?;
    limited(plain)?.map_err(|_| "age cannot decrypt it: it is damaged".to_owned())
}

type Identity = Box<dyn age::Identity + Send + Sync>;

/// The identities of the user, in the places where SOPS looks for them.
fn identities(env: &BTreeMap<String, String>) -> Result<Vec<Identity>, String> {
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
    if let Some(keys) = set("SOPS_AGE_KEY") {
        return parsed(keys.as_bytes(), "`SOPS_AGE_KEY`");
    }
    let file = set("SOPS_AGE_KEY_FILE").map(PathBuf::from).or_else(|| {
        let config = set("XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.or_else(|| Some(Path::new(set("HOME")?).join(".config")));
        config.map(|config| config.join("sops/age/keys.txt")).filter(|file| file.exists())
    });
    let Some(file) = file else {
        return Err("it is encrypted with age; set SOPS_AGE_KEY_FILE to the file with your key".to_owned());
    };
    let what = format!("the age keys in `{}`", file.display());
    let opened = std::fs::File::open(&file).map_err(|error| format!("{what} cannot be read: {error}"))?;
    let text = limited(opened)?.map_err(|error| format!("{what} cannot be read: {error}"))?;
    parsed(&text, &what)
}

fn parsed(text: &[u8], what: &str) -> Result<Vec<Identity>, String> {
    let file = age::IdentityFile::from_buffer(text).map_err(|_| format!("{what} are no age identities"))?;
    let identities = file.into_identities().map_err(|_| format!("{what} are no age identities"))?;
    match identities.is_empty() {
        true => Err(format!("{what} are none: there is no line with `AGE-SECRET-KEY-1…`")),
        false => Ok(identities),
    }
}

/// Reads to the end, or to the limit, which is an error.
fn limited(mut from: impl Read) -> Result<io::Result<Bytes>, String> {
    // Room for all: text that is moved leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST as usize + 1));
    let read = from.by_ref().take(LARGEST + 1).read_to_end(&mut bytes);
    if bytes.len() as u64 > LARGEST {
        return Err("it holds more than 1 MiB".to_owned());
    }
    Ok(read.map(|_| bytes))
}

/// Has `sops` decrypt it. It gets the file on its standard input, so that what is decrypted is what was read, and what it
/// complains of is not shown: it may quote what it read.
fn by_sops(env: &BTreeMap<String, String>, path: &str, bytes: &Bytes) -> Result<Bytes, String> {
    let program = program(env).ok_or("there is no program `sops` on PATH; install it, or encrypt the file with age")?;
    let kind = match path.rsplit('.').next() {
        Some("yaml" | "yml") => "yaml",
        Some("json") => "json",
        Some("env") => "dotenv",
        Some("ini") => "ini",
        _ => "binary",
    };
    let mut child = Command::new(program)
        .args(["--decrypt", "--input-type", kind, "--output-type", kind, "/dev/stdin"])
        .env_clear()
        .envs(env.iter().filter(|(name, _)| !name.starts_with("PREFECT_API_")))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("`sops` cannot be started: {error}"))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let input = bytes.clone();
    std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(stdout.map(limited)));
    let answer = receiver.recv_timeout(PATIENCE);
    if !matches!(answer, Ok(Some(Ok(Ok(_))))) {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("`sops` cannot be waited for: {error}"))?;
    match answer {
        Err(_) => Err(format!("`sops` did not finish within {} seconds", PATIENCE.as_secs())),
        Ok(Some(Err(why))) => Err(why),
        Ok(Some(Ok(Ok(plain)))) if status.success() => Ok(plain),
        Ok(_) => Err(format!("`sops` cannot decrypt it ({status}); `sops --decrypt {path}` says why")),
    }
}

/// The program on `PATH`; relative directories of it do not count, as they lead into the repository.
fn program(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let dirs = std::env::split_paths(env.get("PATH")?).filter(|dir| dir.is_absolute());
    dirs.map(|dir| dir.join("sops")).find(|file| file.is_file())
}
