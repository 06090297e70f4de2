//! Whether a commit is signed by somebody who may: asked of `ssh-keygen` and `gpg`, which know the formats and the rules.
//!
//! Who may comes from files of whoever runs us and never from the repository: otherwise a commit could approve of
//! itself. The programs see these files and what was signed, and no configuration or keyring of the machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use git2::{ErrorCode, Oid, Repository};
use jiff::Timestamp;
use tempfile::TempDir;

/// The first line of OpenPGP keys and signatures, and of signatures of SSH.
const PGP_KEYS: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const PGP: &str = "-----BEGIN PGP ";
const SSH: &str = "-----BEGIN SSH SIGNATURE-----";
/// What gpg says of a signature that is not good, whatever else it says.
const BAD: [&str; 6] = ["BADSIG", "ERRSIG", "NO_PUBKEY", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"];

/// Who may sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signers {
    /// Files of allowed signers, as `ssh-keygen` has them.
    ssh: Vec<PathBuf>,
    /// Files of OpenPGP public keys.
    gpg: Vec<PathBuf>,
}

impl Signers {
    /// Tells files of the two kinds apart by what stands in them. None without files: then any commit will do.
    ///
    /// # Errors
    /// One sentence about a file that cannot be read, or names nobody.
    pub fn read(files: &[PathBuf]) -> Result<Option<Signers>, String> {
        let mut signers = Signers::default();
        for file in files {
            let bytes = fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
            let file = file.canonicalize().map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
            let text = String::from_utf8_lossy(&bytes);
            let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
            if text.contains(PGP_KEYS) {
                signers.gpg.push(file);
            } else if std::str::from_utf8(&bytes).is_ok() && text.lines().any(says) {
                signers.ssh.push(file);
            } else {
                return Err(format!(
                    "{} names nobody who may sign: it is neither a file of allowed signers, `ada@example.org ssh-ed25519 \
                     AAAA…`, nor of OpenPGP public keys, `gpg --armor --export`",
                    file.display()
                ));
            }
        }
        Ok((!files.is_empty()).then_some(signers))
    }

    /// Why a commit may not be used; none if it may.
    pub(super) fn objection(&self, repo: &Repository, commit: Oid) -> Option<String> {
        self.check(repo, commit).err()
    }

    fn check(&self, repo: &Repository, commit: Oid) -> Result<(), String> {
        let (signature, signed) = match repo.extract_signature(&commit, None) {
            Ok(both) => both,
            Err(error) if error.code() == ErrorCode::NotFound => return Err("it is not signed".to_owned()),
            Err(error) => return Err(format!("its signature cannot be read: {}", error.message())),
        };
        let when = repo.find_commit(commit).map_err(|error| error.message().to_owned())?.committer().when().seconds();
        let dir = tempfile::Builder::new().prefix("reconcile-sig-").tempdir().map_err(|error| error.to_string())?;
        let case = Case { dir, when };
        case.write("signature", &signature)?;
        case.write("signed", &signed)?;
        let begins = |with: &str| signature.starts_with(with.as_bytes());
        if begins(SSH) {
            case.ssh(&self.ssh)
        } else if begins(PGP) {
            case.gpg(&self.gpg)
        } else {
            Err("its signature is neither one of SSH nor of OpenPGP".to_owned())
        }
    }
}

/// A signature, and what was signed, in a directory that is gone afterwards.
struct Case {
    dir: TempDir,
    /// When it was committed, in seconds since 1970.
    when: i64,
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        fs::write(self.path(name), bytes).map_err(|error| error.to_string())
    }

    /// Keys count that were allowed when it was committed, as they do to git.
    fn ssh(&self, files: &[PathBuf]) -> Result<(), String> {
        if files.is_empty() {
            return Err("it is signed by SSH, and no allowed signers are known".to_owned());
        }
        let at = Timestamp::from_second(self.when).map_err(|_| "it is of no time that there is".to_owned())?;
        let at = format!("-Overify-time={}", at.strftime("%Y%m%d%H%M%S"));
        for file in files {
            let mut find = self.keygen(&["-Y", "find-principals", &at], file);
            let found = run(&mut find, "ssh-keygen")?;
            for who in String::from_utf8_lossy(&found.stdout).lines().filter(|_| found.status.success()) {
                let mut verify = self.keygen(&["-Y", "verify", &at, "-n", "git", "-I", who], file);
                let signed = File::open(self.path("signed")).map_err(|error| error.to_string())?;
                if run(verify.stdin(signed), "ssh-keygen")?.status.success() {
                    return Ok(());
                }
            }
        }
        Err("its SSH signature is not a good one of anybody who may sign".to_owned())
    }

    fn keygen(&self, args: &[&str], signers: &Path) -> Command {
        let mut command = quiet("ssh-keygen");
        // Times without a zone are those of this machine.
        command.args(args).env("TZ", "UTC").arg("-f").arg(signers).arg("-s").arg(self.path("signature"));
        command
    }

    fn gpg(&self, files: &[PathBuf]) -> Result<(), String> {
        if files.is_empty() {
            return Err("it is signed by OpenPGP, and no public keys are known".to_owned());
        }
        let home = self.path("home");
        fs::create_dir(&home).map_err(|error| error.to_string())?;
        let gpg = |args: &[&str]| {
            let mut command = quiet("gpg");
            command.args(["--no-options", "--batch", "--no-tty", "--homedir"]).arg(&home).args(args);
            command
        };
        let imported = run(gpg(&["--quiet", "--import"]).args(files), "gpg")?;
        if !imported.status.success() {
            return Err("the public keys of those who may sign cannot be read by `gpg`".to_owned());
        }
        // All keys here are allowed: whether somebody vouches for them does not matter.
        let options = ["--trust-model", "always", "--no-auto-key-retrieve", "--status-fd", "1", "--verify"];
        let mut verify = gpg(&options);
        verify.arg(self.path("signature")).arg(self.path("signed"));
        let output = run(&mut verify, "gpg")?;
        match output.status.success() && is_good(&String::from_utf8_lossy(&output.stdout)) {
            true => Ok(()),
            false => Err("its OpenPGP signature is not a good one of anybody who may sign".to_owned()),
        }
    }
}

/// Whether gpg's account of a signature is that of one good one, and of nothing else.
fn is_good(status: &str) -> bool {
    let words: Vec<&str> = status
        .lines()
        .filter_map(|line| line.strip_prefix("[GNUPG:] "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let count = |word: &str| words.iter().filter(|found| **found == word).count();
    count("GOODSIG") == 1 && count("VALIDSIG") == 1 && !words.iter().any(|word| BAD.contains(word))
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("LC_ALL", "C").env_remove("GNUPGHOME");
    command
}

fn run(command: &mut Command, program: &str) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("it cannot be verified: `{program}` does not run: {error}"));
    if let Ok(output) = &output {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        tracing::debug!(program, status = ?output.status.code(), said, "a signature is looked at");
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_good_signature_is_good() {
        let good = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 1 Ada\n[GNUPG:] VALIDSIG 1 2\n[GNUPG:] TRUST_FULLY 0 always\n";
        assert!(is_good(good));
        assert!(!is_good("[GNUPG:] GOODSIG 1 Ada\n"));
        assert!(!is_good(&format!("{good}{good}")));
        for bad in BAD {
            assert!(!is_good(&format!("{good}[GNUPG:] {bad} 3 Eve\n")), "{bad}");
        }
        assert!(!is_good("gpg: Good signature\nGOODSIG\nVALIDSIG\n"));
    }

    #[test]
    fn files_name_somebody() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, text).expect("written");
            path
        };
        let ssh = file("ssh", b"# who\nada@example.org ssh-ed25519 AAAA\n");
        let gpg = file("gpg", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n");
        let read = Signers::read(&[ssh.clone(), gpg]).expect("good").expect("signers");
        assert_eq!((read.ssh.len(), read.gpg.len()), (1, 1));
        assert_eq!(Signers::read(&[]), Ok(None));
        for bad in [file("empty", b""), file("comment", b"# nobody\n"), file("binary", b"\xff\xfe"), ssh.join("x")] {
            assert!(Signers::read(std::slice::from_ref(&bad)).is_err(), "{}", bad.display());
        }
    }
}
