//! Git's smart protocol over SSH: the `ssh` of this machine runs `git-upload-pack` on the other side.
//!
//! So agents, key files, `~/.ssh/config` and known hosts are what they are to git. Nobody is asked: an unknown host
//! or a key with a passphrase that no agent knows is a failure.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use git2::Error;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use url::Url;

use super::Access;

/// More of what `ssh` complains of is not kept, in bytes.
const MOST_WORDS: u64 = 4096;

/// A connection to one repository.
pub(super) struct Ssh(Access);

impl Ssh {
    pub fn new(access: Access) -> Ssh {
        Ssh(access)
    }
}

impl SmartSubtransport for Ssh {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        match action {
            Service::UploadPackLs | Service::UploadPack => {}
            Service::ReceivePackLs | Service::ReceivePack => return Err(Error::from_str("nothing is ever pushed")),
        }
        let target = Target::of(url).map_err(|sentence| Error::from_str(&sentence))?;
        let session = target.open(self.0.ssh_command.as_deref());
        Ok(Box::new(session.map_err(|error| Error::from_str(&format!("`ssh` could not be started: {error}")))?))
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Where to, taken from `ssh://[user@]host[:port]/path`.
#[derive(Debug, PartialEq)]
struct Target {
    host: String,
    port: Option<u16>,
    path: String,
}

impl Target {
    fn of(url: &str) -> Result<Target, String> {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        let text = |part: &str| {
            let decoded = percent_encoding::percent_decode_str(part).decode_utf8();
            decoded.map(|text| text.into_owned()).map_err(|error| error.to_string())
        };
        let (user, host) = (text(parsed.username())?, parsed.host_str().unwrap_or_default());
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // What begins with a dash would be an option.
        if host.is_empty() || host.starts_with('-') || user.starts_with('-') {
            return Err("the address names no host".to_owned());
        }
        let path = text(parsed.path())?;
        // `/~/x` is below our home directory, where `ssh` begins, and `/~ada/x` below somebody else's.
        let home = path.strip_prefix("/~/");
        let path = home.or(path.strip_prefix('/').filter(|below| below.starts_with('~'))).unwrap_or(&path).to_owned();
        let host = if user.is_empty() { host.to_owned() } else { format!("{user}@{host}") };
        Ok(Target { host, port: parsed.port(), path })
    }

    fn open(&self, program: Option<&str>) -> io::Result<Session> {
        // A user's command is one for the shell, as with git.
        let mut command = match program {
            Some(line) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("{line} \"$@\"")).arg(line);
                shell
            }
            None => Command::new("ssh"),
        };
        command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15"]);
        if let Some(port) = self.port {
            command.arg("-p").arg(port.to_string());
        }
        command.arg("--").arg(&self.host).arg(format!("git-upload-pack {}", quoted(&self.path)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let gone = || io::Error::other("a stream is missing");
        let (stdin, stdout) = (child.stdin.take().ok_or_else(gone)?, child.stdout.take().ok_or_else(gone)?);
        let stderr = child.stderr.take().ok_or_else(gone)?;
        let words = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&words);
        let listener = std::thread::Builder::new().name("ssh".to_owned()).spawn(move || {
            let mut bytes = Vec::new();
            let mut stderr = stderr;
            let _ = stderr.by_ref().take(MOST_WORDS).read_to_end(&mut bytes);
            into.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&bytes));
            let _ = io::copy(&mut stderr, &mut io::sink());
        })?;
        Ok(Session { child, stdin, stdout, words, listener: Some(listener), read: 0 })
    }
}

/// One word for the shell on the other side.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', "'\\''").replace('!', "'\\!'"))
}

/// A running `ssh`; ended when dropped.
struct Session {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    words: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
    read: u64,
}

impl Session {
    /// Why there is nothing to read, in `ssh`'s last words.
    fn failure(&mut self) -> io::Error {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let last = words.lines().map(str::trim).rfind(|line| !line.is_empty());
        io::Error::other(match last {
            Some(line) => format!("ssh: {line}"),
            None => "the connection was closed without a word".to_owned(),
        })
    }
}

impl Read for Session {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.stdout.read(into)?;
        if length == 0 && self.read == 0 && !into.is_empty() {
            return Err(self.failure());
        }
        self.read += length as u64;
        Ok(length)
    }
}

impl Write for Session {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.stdin.write(part)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdin.flush()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Option<(String, Option<u16>, String)> {
        Target::of(url).ok().map(|target| (target.host, target.port, target.path))
    }

    #[test]
    fn addresses_are_taken_apart() {
        let of = |host: &str, port, path: &str| Some((host.to_owned(), port, path.to_owned()));
        assert_eq!(target("ssh://git@example.org/a/b.git"), of("git@example.org", None, "/a/b.git"));
        assert_eq!(target("ssh://example.org:2222/~ada/b%20c"), of("example.org", Some(2222), "~ada/b c"));
        assert_eq!(target("ssh://git@example.org/~/a/b.git"), of("git@example.org", None, "a/b.git"));
        assert_eq!(target("ssh://[::1]:22/x"), of("::1", Some(22), "/x"));
        assert_eq!((target("ssh:///x"), target("ssh://-oProxyCommand=x/y")), (None, None));
        assert_eq!(target("ssh://-oProxyCommand=x@host/y"), None);
    }

    #[test]
    fn no_path_leaves_its_quotes() {
        assert_eq!(quoted("/a b"), "'/a b'");
        assert_eq!(quoted("/a'; rm -rf /'!"), r"'/a'\''; rm -rf /'\'''\!''");
    }
}
