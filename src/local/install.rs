//! Installs the embedded Prefect, once: a Python environment from the lock, and a migrated empty database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::process::Command;

use super::environment::Places;
use super::launch::{copy_whole, tail};
use super::{Launch, Lifetime, LocalError, PREFECT_VERSION, REQUIREMENTS, Say, lock};

/// An installed Prefect.
#[derive(Clone, Debug)]
pub struct Prefect {
    /// Its interpreter; the `prefect` executable is beside it.
    pub python: PathBuf,
    /// An empty SQLite database with Prefect's tables and block types; to be copied.
    pub template: PathBuf,
}

/// Installs the embedded Prefect into `cache` unless it is there; `say` hears about each slow step.
///
/// An installation counts only when its last file, `.complete`, is there; anything less is made anew.
///
/// # Errors
/// No fitting Python, a failed installer (with its last lines), a full or read-only disk, another process that
/// does not let go of the lock.
pub async fn install(cache: &Path, say: Say<'_>) -> Result<Prefect, LocalError> {
    let places = Places::of(cache);
    if !installed(&places) {
        let waiting = "waiting for another `reconcile` to install Prefect";
        let _lock = lock::hold(&places.install_lock(), waiting, say).await?;
        if !installed(&places) {
            install_anew(&places, say).await?;
        }
    }
    Ok(Prefect { python: places.python(), template: places.template() })
}

/// The interpreter is a link to one of the system's, which may have gone since.
fn installed(places: &Places) -> bool {
    places.complete().exists() && places.python().exists() && places.template().exists()
}

async fn install_anew(places: &Places, say: Say<'_>) -> Result<(), LocalError> {
    let dir = places.prefect();
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(LocalError::io("remove", dir))?;
    }
    let maker = Maker::find().await?;
    say(&format!("installing Prefect {PREFECT_VERSION} into `{}` with {} (once, 250 MB)", dir.display(), maker.name()));
    maker.make_environment(dir).await?;
    let requirements = dir.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).map_err(LocalError::io("write", &requirements))?;
    maker.fill(&places.python(), &requirements).await?;
    say("preparing an empty database (once)");
    template(&places.python(), &places.template()).await?;
    fs::write(places.complete(), "").map_err(LocalError::io("write", &places.complete()))
}

/// Makes `file` an empty database with Prefect's tables and block types, by starting a server once.
///
/// # Errors
/// The server does not start, or the file cannot be written.
pub async fn template(python: &Path, file: &Path) -> Result<(), LocalError> {
    let home = file.with_extension("home");
    let launch = Launch {
        python: python.to_owned(),
        record: home.join("record.json"),
        home: home.clone(),
        port: 0,
        lifetime: Lifetime::Once,
        settings: vec![("PREFECT_SERVER_UI_ENABLED".to_owned(), "false".to_owned())],
    };
    let (mut child, _) = launch.start().await?;
    let status = child.wait().map_err(LocalError::io("wait for", python))?;
    if !status.success() {
        let log = fs::read(launch.log()).unwrap_or_default();
        return Err(failed("prepare an empty database", "python local_server.py --once", status, &log));
    }
    copy_whole(&launch.database(), file).map_err(LocalError::io("write", file))?;
    fs::remove_dir_all(&home).map_err(LocalError::io("remove", &home))
}

/// What makes the environment.
enum Maker {
    /// uv, which finds an interpreter itself.
    Uv,
    /// This interpreter's own venv and pip.
    Python(PathBuf),
}

impl Maker {
    async fn find() -> Result<Maker, LocalError> {
        if output(Command::new("uv").arg("--version")).await.is_ok_and(|answer| answer.status.success()) {
            return Ok(Maker::Uv);
        }
        let mut tried = Vec::new();
        for name in ["python3", "python3.13", "python3.12", "python3.11", "python3.10", "python3.14"] {
            match version(name).await {
                Some((3, 10..=14)) => return Ok(Maker::Python(PathBuf::from(name))),
                Some((major, minor)) => tried.push(format!("`{name}` is {major}.{minor}")),
                None => {}
            }
        }
        let tried = if tried.is_empty() { "no `python3` and no `uv` on PATH".to_owned() } else { tried.join(", ") };
        Err(LocalError::NoPython { tried })
    }

    fn name(&self) -> &'static str {
        match self {
            Maker::Uv => "uv",
            Maker::Python(_) => "pip",
        }
    }

    async fn make_environment(&self, dir: &Path) -> Result<(), LocalError> {
        let mut command = match self {
            Maker::Uv => isolated(Path::new("uv"), &["venv", "--quiet", "--no-project", "--python", ">=3.10,<3.15"]),
            Maker::Python(python) => isolated(python, &["-I", "-m", "venv"]),
        };
        run("make a Python environment", command.arg(dir)).await
    }

    async fn fill(&self, python: &Path, requirements: &Path) -> Result<(), LocalError> {
        // wheels only: the lock's hashes cover what is installed, and nothing is built from what they do not cover
        const COMMON: [&str; 6] = ["install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"];
        let mut command = match self {
            Maker::Uv => isolated(Path::new("uv"), &["pip"]),
            Maker::Python(_) => isolated(python, &["-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]),
        };
        command.args(COMMON);
        if let Maker::Uv = self {
            command.arg("--python").arg(python);
        }
        run(&format!("install Prefect {PREFECT_VERSION}"), command.arg("-r").arg(requirements)).await
    }
}

/// A command without the user's Python settings; those of pip, uv, proxies and certificates stay.
fn isolated(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    for name in ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"] {
        command.env_remove(name);
    }
    command
}

async fn version(python: &str) -> Option<(u32, u32)> {
    let mut command = isolated(Path::new(python), &["-I", "-c", "import sys; print(*sys.version_info[:2])"]);
    let answer = output(&mut command).await.ok().filter(|answer| answer.status.success())?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

async fn output(command: &mut Command) -> std::io::Result<std::process::Output> {
    command.stdin(Stdio::null()).kill_on_drop(true).output().await
}

async fn run(doing: &str, command: &mut Command) -> Result<(), LocalError> {
    let program = PathBuf::from(command.as_std().get_program());
    let answer = output(command).await.map_err(LocalError::io("run", &program))?;
    if answer.status.success() {
        return Ok(());
    }
    let shown: Vec<_> = std::iter::once(command.as_std().get_program()).chain(command.as_std().get_args()).collect();
    let shown = shown.join(" ".as_ref()).to_string_lossy().into_owned();
    Err(failed(doing, &shown, answer.status, &[answer.stdout, answer.stderr].concat()))
}

fn failed(doing: &str, program: &str, status: ExitStatus, printed: &[u8]) -> LocalError {
    let (doing, program, status) = (doing.to_owned(), program.to_owned(), status.to_string());
    LocalError::Step { doing, program, status, tail: tail(printed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_installer_shows_its_last_words() {
        let error = run("do it", Command::new("sh").args(["-c", "echo 'No space left on device' >&2; exit 7"])).await;
        let error = error.unwrap_err();
        assert!(error.to_string().starts_with("failed to do it: `sh -c "), "{error}");
        assert!(error.to_string().ends_with("exit status: 7\nNo space left on device"), "{error}");
        assert!(error.help().contains("another disk"));
    }

    #[tokio::test]
    async fn a_missing_interpreter_has_no_version() {
        assert_eq!(version("python3-that-is-not-there").await, None);
        assert_eq!(version("true").await, None);
    }
}
