//! Finding a program as Python's `subprocess` does: on the `PATH` of the command's own environment.

use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::environment::Env;

/// Where to look when there is no `PATH`: Python's `os.defpath`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The file behind `name`, which runs in `cwd` with `env`. Names with a `/` are relative to `cwd`.
///
/// # Errors
/// Why nothing can be started, in words.
pub(super) fn find(name: &str, cwd: &Path, env: &Env) -> Result<PathBuf, &'static str> {
    let candidates: Vec<PathBuf> = if name.contains('/') {
        vec![cwd.join(name)]
    } else {
        let path = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        path.split(':').map(|dir| cwd.join(dir).join(name)).collect()
    };
    let mut reason = "no such program";
    for candidate in candidates {
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(why) if reason == "no such program" => reason = why,
            Err(_) => {}
        }
    }
    Err(reason)
}

fn check(file: &Path) -> Result<(), &'static str> {
    if !file.exists() {
        return Err("no such program");
    }
    if !file.is_file() || access(file, Access::EXEC_OK).is_err() {
        return Err("permission denied");
    }
    if is_text_without_interpreter(file) {
        return Err("it is a script without a first line such as `#!/bin/sh`");
    }
    Ok(())
}

/// The C library would hand such a file to a shell; Python does not.
fn is_text_without_interpreter(file: &Path) -> bool {
    let mut start = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(256).read_to_end(&mut start));
    // One that can be run but not read is no script.
    read.is_ok() && !start.starts_with(b"#!") && !start.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_path_of_the_command_decides() {
        let root = tempfile::tempdir().unwrap();
        let make = |name: &str, text: &str, mode| {
            let file = root.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        make("a/tool", "#!/bin/sh\n", 0o644);
        make("b/tool", "#!/bin/sh\n", 0o755);
        make("b/bare", "echo hi\n", 0o755);
        let env: Env = [("PATH".to_owned(), "a:b".to_owned())].into();
        let find = |name| find(name, root.path(), &env);
        assert_eq!(find("tool").unwrap(), root.path().join("b/tool"));
        assert_eq!(find("./b/tool").unwrap(), root.path().join("./b/tool"));
        assert_eq!(find("a/tool"), Err("permission denied"));
        assert_eq!(find("missing"), Err("no such program"));
        assert!(find("bare").unwrap_err().contains("#!/bin/sh"));
        assert!(super::find("sh", root.path(), &Env::new()).is_ok());
    }
}
