//! `Engine`: a Docker Engine of the test process's own, gone with it, and an image that has nothing in it: containers
//! see the directories of this machine that Python and its Prefect need.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::python;

/// Runs the engine until its standard input ends, which is when the test process does, and removes its directory. A line
/// there starts another one in the place of one that was killed; it may hold an option. The machine's network is left
/// alone: no bridge, no rules.
const KEEPER: &str = r#"
serve() {
    dockerd --data-root "$1/data" --exec-root "$1/exec" -p "$1/pid" -H "unix://$1/docker.sock" --bridge=none \
    --iptables=false --ip-forward=false --ip-masq=false --host-gateway-ip=127.0.0.1 --shutdown-timeout=1 $2 \
    >>"$1/log" 2>&1 </dev/null &
}
serve "$1"
while read -r option; do
    wait
    serve "$1" "$option"
done
export DOCKER_HOST="unix://$1/docker.sock"
docker ps -q | xargs -r docker kill >/dev/null
kill -TERM $!
wait
sed -n "s|^[^ ]* \($1/[^ ]*\) .*|\1|p" /proc/mounts | sort -r | xargs -r umount -l
rm -rf "$1"
"#;
const PATIENCE: Duration = Duration::from_secs(120); // two seconds on an idle machine
/// What the engine's image is called.
pub const IMAGE: &str = "nothing:1";

/// A running engine that listens on a socket in its directory only.
#[derive(Debug)]
pub struct Engine {
    dir: PathBuf,
    /// Its standard input is what keeps the engine alive.
    keeper: Child,
}

/// What this machine lacks for an engine.
fn lacks() -> Option<String> {
    let paths: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let there = |program: &&str| !paths.iter().any(|dir| dir.join(program).is_file());
    let missing: Vec<&str> = ["dockerd", "docker", "containerd", "runc", "tar"].into_iter().filter(there).collect();
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    match (missing.is_empty(), is_root) {
        (true, true) => None,
        (true, false) => Some("a Docker Engine needs root".to_owned()),
        (false, _) => Some(format!("no Docker Engine: {} not found in PATH", missing.join(", "))),
    }
}

impl Engine {
    /// The one of this process; else why there is none.
    pub fn shared() -> Result<&'static Engine, String> {
        static SHARED: OnceLock<Result<Engine, String>> = OnceLock::new();
        SHARED.get_or_init(Engine::start).as_ref().map_err(Clone::clone)
    }

    /// One of a test's own, gone with the test.
    pub fn start() -> Result<Engine, String> {
        if let Some(lacks) = lacks() {
            return Err(lacks);
        }
        let dir = tempfile::tempdir().unwrap().keep(); // the keeper removes it
        let mut keeper = Command::new("/bin/sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&dir).stdin(Stdio::piped()).current_dir("/");
        let engine = Engine { keeper: keeper.spawn().unwrap(), dir };
        engine.until_ready()?;
        engine.make_image();
        Ok(engine)
    }

    fn until_ready(&self) -> Result<(), String> {
        let began = Instant::now();
        while !self.command(&["version"]).output().unwrap().status.success() {
            let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            if began.elapsed() > PATIENCE || log.contains("failed to start daemon") {
                let last = log.lines().last().unwrap_or_default();
                return Err(format!("a Docker Engine cannot be started here: {last}"));
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Kills it, as nothing should. Its containers go on.
    pub fn kill(&self) {
        let pid = fs::read_to_string(self.dir.join("pid")).unwrap();
        assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
    }

    /// Starts another one in its place, which ends the containers unless they are to be `kept`.
    pub fn start_again(&mut self, kept: bool) {
        let option = if kept { "--live-restore" } else { "" };
        writeln!(self.keeper.stdin.as_ref().unwrap(), "{option}").unwrap();
        self.until_ready().unwrap();
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    /// The same for `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Docker's command line.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut docker = Command::new("docker");
        docker.args(args).env("DOCKER_HOST", self.host()).env("DOCKER_CONFIG", self.dir.join("client"));
        docker
    }

    /// What Docker's command line prints.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// All that the engine knows of the containers of a run, the oldest first.
    pub fn containers_of(&self, run: &str) -> Vec<Value> {
        let label = format!("label=io.prefect.flow-run-id={run}");
        let ids = self.docker(&["ps", "-aq", "--no-trunc", "--filter", &label]);
        let inspect = |id: &str| serde_json::from_str::<Value>(&self.docker(&["inspect", id])).unwrap()[0].take();
        let mut found: Vec<Value> = ids.lines().map(inspect).collect();
        found.reverse();
        found
    }

    /// An image with nothing in it.
    fn make_image(&self) {
        let tree = self.dir.join("tree");
        fs::create_dir_all(tree.join("tmp")).unwrap();
        self.import(&tree, IMAGE);
    }

    /// An image of a tree, and of the links that this machine has in its root.
    fn import(&self, tree: &Path, name: &str) {
        for entry in fs::read_dir("/").unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_symlink() {
                let to = fs::read_link(entry.path()).unwrap();
                std::os::unix::fs::symlink(to, tree.join(entry.file_name())).unwrap();
            }
        }
        let path = format!("ENV PATH={}:/usr/local/bin:/usr/bin:/bin", python().parent().unwrap().display());
        let mut tar = Command::new("tar");
        let mut tar = tar.arg("-C").arg(tree).args(["-c", "."]).stdout(Stdio::piped()).spawn().unwrap();
        let mut import = self.command(&["import", "--change", &path, "--change", "ENV HOME=/tmp", "-", name]);
        let made = import.stdin(tar.stdout.take().unwrap()).output().unwrap();
        assert!(tar.wait().unwrap().success() && made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

impl Drop for Engine {
    /// That of all tests is never dropped, and ends with the process.
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Copies what Python and its Prefect need into a tree: two directories, libraries, and a shell for entrypoints.
const COLLECT: &str = r#"
set -e
tree=$1 python=$2
mkdir -p "$tree/tmp"
base=$("$python" -I -c 'import sys; print(sys.base_prefix)')
own=$("$python" -I -c 'import sys; print(sys.prefix)')
cd /
tar -c --exclude="${base#/}/lib/python3*/site-packages" --exclude='*/python3*/test' --exclude='*/python3*/config-*' \
    --exclude=__pycache__ $(ls -d ${base#/}/bin/python3* ${base#/}/lib/*python3*) ${own#/} | tar -C "$tree" -x
mkdir -p "$tree/usr/bin" "$tree/usr/share"
cp /bin/sh "$tree/usr/bin/sh"
[ ! -d /usr/share/zoneinfo ] || cp -r /usr/share/zoneinfo "$tree/usr/share/"
{ find "$tree$base" "$tree$own" -name '*.so*' -type f; echo "$tree/usr/bin/sh"; echo "$base/bin/python3"; } |
    xargs ldd 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^\t\(\/lib[^ ]*\) .*/\1/p' | sort -u |
    while read -r library; do
        case "$library" in "$tree"*) continue ;; esac
        mkdir -p "$tree$(dirname "$(readlink -f "$(dirname "$library")")/x")"
        cp -L "$library" "$tree$(readlink -f "$(dirname "$library")")/"
    done
"#;

impl Engine {
    /// An image with Python and its Prefect in it, under the name of Prefect's own.
    pub fn make_prefect_image(&self, name: &str) {
        let tree = self.dir.join("prefect");
        let mut collect = Command::new("/bin/sh");
        let made = collect.args(["-c", COLLECT, "collect"]).arg(&tree).arg(python()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.import(&tree, name);
        fs::remove_dir_all(&tree).unwrap();
    }
}

/// The volumes that show containers what Python needs.
pub fn volumes() -> Vec<Value> {
    let ask = "import sys; print(sys.prefix); print(sys.base_prefix)";
    let asked = Command::new(python()).args(["-I", "-c", ask]).output().unwrap();
    let prefixes = String::from_utf8(asked.stdout).unwrap();
    let heads = prefixes.lines().filter_map(|path| path.split('/').nth(1)).map(|head| format!("/{head}"));
    let system = ["/usr", "/lib", "/lib64", "/bin", "/etc"].map(str::to_owned);
    let mut all: Vec<String> = heads.chain(system).collect();
    all.sort();
    all.dedup();
    let real = |path: &String| fs::symlink_metadata(Path::new(path)).is_ok_and(|found| found.is_dir());
    all.iter().filter(|path| real(path)).map(|path| json!(format!("{path}:{path}:ro"))).collect()
}
