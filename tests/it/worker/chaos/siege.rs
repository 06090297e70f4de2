//! `Siege`: a pool, its worker and all that they need, and the fires under them: each goes on by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::json;

use super::dice::Dice;
use crate::support::Server;
use crate::support::cable::Cable;
use crate::support::docker::Engine;
use crate::support::http::Http;
use crate::worker::site::{Site, Worker, wait_for};

/// If nothing has ended for so long there is peace, in which it has to.
const HOPE: Duration = Duration::from_secs(180);
/// Runs have states of these types before they end.
const OPEN: [&str; 5] = ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED"];

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fire {
    /// The worker is killed, and started again.
    Worker,
    /// The process of a run is killed.
    Run,
    /// A warm interpreter is killed.
    Interpreter,
    /// The server is killed, and started again with its database.
    Server,
    /// The network between worker and server is cut or falls silent for a while; that of runs as well.
    Network,
    /// The container engine is killed and started again, with or without its containers.
    Engine,
}

impl Fire {
    /// The shortest and the longest pause, in milliseconds.
    fn pause(self) -> (u64, u64) {
        match self {
            Fire::Worker => (200, 30_000),
            Fire::Run => (1_000, 20_000),
            Fire::Interpreter => (5_000, 40_000),
            Fire::Server => (15_000, 60_000),
            Fire::Network => (5_000, 30_000),
            Fire::Engine => (15_000, 45_000),
        }
    }

    fn told(self) -> &'static str {
        match self {
            Fire::Worker => "worker killed",
            Fire::Run => "run killed",
            Fire::Interpreter => "warm interpreter killed",
            Fire::Server => "server killed",
            Fire::Network => "network cut",
            Fire::Engine => "container engine killed",
        }
    }
}

/// What is under fire.
pub struct Siege {
    pub site: Site,
    server: Mutex<Server>,
    cable: Cable,
    engine: Option<Mutex<Engine>>,
    worker: Mutex<Option<Worker>>,
    options: Vec<String>,
    over: AtomicBool,
    /// The runs whose processes were killed.
    killed: Mutex<BTreeSet<String>>,
    counts: Mutex<BTreeMap<Fire, usize>>,
}

/// What is left when all has ended.
#[derive(Debug)]
pub struct Left {
    notes: usize,
    processes: usize,
    directories: Vec<String>,
}

impl Siege {
    /// A pool of a server of its own.
    pub fn laid(pool: &str, kind: &str, options: &[&str], engine: Option<Engine>) -> Siege {
        let server = Server::start();
        let cable = Cable::to_api(&server.url);
        let site = Site::on(&server.url, &cable.url(), pool, kind);
        fs::create_dir(site.project.home().join("tmp")).unwrap();
        Siege {
            site,
            server: Mutex::new(server),
            cable,
            engine: engine.map(Mutex::new),
            worker: Mutex::default(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            over: AtomicBool::new(false),
            killed: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    /// Sets fires until all runs have ended, or none does any more.
    pub fn burn(&self, fires: &[Fire], seed: u64) {
        *self.worker.lock().unwrap() = Some(self.start());
        scope(|scope| {
            let _over = Over(&self.over);
            for (n, fire) in (0..).zip(fires) {
                scope.spawn(move || self.keep(*fire, Dice::of(seed.wrapping_add(n))));
            }
            let (mut last, mut ended) = (usize::MAX, Instant::now());
            while ended.elapsed() < HOPE {
                sleep(Duration::from_secs(1));
                let open = self.open();
                if open == 0 {
                    return;
                }
                if open != last {
                    (last, ended) = (open, Instant::now());
                }
            }
        });
    }

    /// How many runs have not ended.
    pub fn open(&self) -> usize {
        let server = self.server.lock().unwrap();
        let open = json!({"flow_runs": {"state": {"type": {"any_": OPEN}}}});
        usize::try_from(server.http().post("/flow_runs/count", open).as_u64().unwrap()).unwrap()
    }

    /// The fires have gone out; somebody works.
    pub fn is_over(&mut self) {
        self.cable.mend();
        self.site.http = Http::new(&self.server.get_mut().unwrap().url);
        self.worker.get_mut().unwrap().get_or_insert_with(|| panic!("nobody works"));
    }

    /// Whether the process of a run was killed.
    pub fn was_killed(&self, run: &str) -> bool {
        self.killed.lock().unwrap().contains(run)
    }

    /// What workers have said of a run.
    pub fn said_of(&self, run: &str) -> String {
        let home = fs::read_dir(self.site.project.home()).unwrap().map(|entry| entry.unwrap().path());
        let mut logs: Vec<PathBuf> = home.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
        logs.sort();
        let lines = |path: PathBuf| {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            text.lines()
                .filter(|line| line.contains(run))
                .map(|line| format!("    {name}: {line}\n"))
                .collect::<String>()
        };
        logs.into_iter().map(lines).collect()
    }

    /// Stops the last worker; what is left.
    pub fn end(&mut self) -> Left {
        let settled = || (self.site.noted() == 0 && self.processes().iter().all(|one| one.is_warm)).then_some(());
        wait_for(settled);
        let mut worker = self.worker.get_mut().unwrap().take().unwrap();
        worker.signal("TERM");
        assert_eq!(worker.wait(), Some(0), "{}", worker.log());
        wait_for(|| self.processes().is_empty().then_some(()));
        let temporary = fs::read_dir(self.temporary()).unwrap();
        let directories = temporary.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        Left { notes: self.site.noted(), processes: self.processes().len(), directories }
    }

    /// What was done, and how often.
    pub fn fires(&self) -> impl Display {
        let counts = self.counts.lock().unwrap();
        counts.iter().map(|(fire, count)| format!("{} {count} times", fire.told())).collect::<Vec<_>>().join(", ")
    }

    /// A fire, until it is over.
    fn keep(&self, fire: Fire, mut dice: Dice) {
        while self.rest(dice.between(fire.pause())) {
            let struck = match fire {
                Fire::Worker => self.kill_worker(&mut dice),
                Fire::Run => self.kill_run(&mut dice),
                Fire::Interpreter => self.kill_interpreter(&mut dice),
                Fire::Server => self.kill_server(&mut dice),
                Fire::Network => self.cut_network(&mut dice),
                Fire::Engine => self.kill_engine(&mut dice),
            };
            if struck {
                *self.counts.lock().unwrap().entry(fire).or_default() += 1;
            }
        }
    }

    /// False if it is over meanwhile.
    fn rest(&self, length: Duration) -> bool {
        let until = Instant::now() + length;
        while Instant::now() < until && !self.over.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(20));
        }
        !self.over.load(Ordering::SeqCst)
    }

    fn temporary(&self) -> PathBuf {
        self.site.project.home().join("tmp")
    }

    fn start(&self) -> Worker {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let temporary = self.temporary().display().to_string();
        let host = self.engine.as_ref().map(|engine| engine.lock().unwrap().host());
        let env = [("TMPDIR", temporary.as_str()), ("DOCKER_HOST", host.as_deref().unwrap_or_default())];
        self.site.worker_with(
            &[&["--name", "mortal", "--limit", "4", "--drain-timeout", "10m"], &options[..]].concat(),
            &env,
        )
    }

    fn kill_worker(&self, dice: &mut Dice) -> bool {
        let mut worker = self.worker.lock().unwrap();
        let mut old = worker.take().unwrap();
        if let Some(status) = old.child.try_wait().unwrap() {
            panic!("the worker has ended by itself, {status}:\n{}", old.log());
        }
        old.signal("KILL");
        old.wait();
        if dice.flip() {
            sleep(dice.between((0, 3_000)));
        }
        *worker = Some(self.start());
        true
    }

    fn kill_run(&self, dice: &mut Dice) -> bool {
        let runs: Vec<Found> = self.processes().into_iter().filter(|one| !one.is_warm).collect();
        let Some(one) = dice.pick(&runs) else { return false };
        let struck = self.kill(one);
        if struck {
            self.killed.lock().unwrap().insert(one.run.clone());
        }
        struck
    }

    fn kill_interpreter(&self, dice: &mut Dice) -> bool {
        let all: Vec<Found> = self.processes().into_iter().filter(|one| one.is_warm).collect();
        dice.pick(&all).is_some_and(|one| self.kill(one))
    }

    fn kill_server(&self, dice: &mut Dice) -> bool {
        let mut server = self.server.lock().unwrap();
        server.kill();
        sleep(dice.between((0, 3_000)));
        server.start_again();
        self.cable.leads_to(&server.url);
        true
    }

    fn cut_network(&self, dice: &mut Dice) -> bool {
        match dice.flip() {
            true => self.cable.cut(),
            false => self.cable.fall_silent(),
        }
        sleep(dice.between((100, 5_000)));
        self.cable.mend();
        true
    }

    fn kill_engine(&self, dice: &mut Dice) -> bool {
        let Some(engine) = &self.engine else { return false };
        let mut engine = engine.lock().unwrap();
        engine.kill();
        // What it had begun to start is there by then.
        sleep(dice.between((1_000, 4_000)));
        let kept = dice.flip();
        if !kept {
            self.killed.lock().unwrap().extend(self.processes().into_iter().map(|one| one.run));
        }
        engine.start_again(kept);
        true
    }

    /// Kills a process, unless its number is another's by now.
    fn kill(&self, one: &Found) -> bool {
        let Ok(handle) = pidfd_open(Pid::from_raw(one.pid).unwrap(), PidfdFlags::empty()) else { return false };
        let same = self.found(one.pid).is_some_and(|now| now.run == one.run);
        same && pidfd_send_signal(&handle, Signal::KILL).is_ok()
    }

    /// The processes of this pool's runs, and its warm interpreters.
    fn processes(&self) -> Vec<Found> {
        let listed = fs::read_dir("/proc").unwrap();
        let pids = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        pids.filter_map(|pid| self.found(pid)).collect()
    }

    fn found(&self, pid: i32) -> Option<Found> {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut entries = environment.split(|byte| *byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok());
        let notes = format!("NOTES={}", self.site.notes().display());
        entries.clone().find(|entry| *entry == notes)?;
        let run = entries.find_map(|entry| entry.strip_prefix("PREFECT__FLOW_RUN_ID="))?;
        Some(Found { pid, run: run.to_owned(), is_warm: run.starts_with("00000000-") })
    }
}

/// A process of a run.
struct Found {
    pid: i32,
    run: String,
    /// It is an interpreter that has no run yet.
    is_warm: bool,
}

impl Left {
    /// The program of an interpreter that was just warming up is removed by the next worker.
    pub fn is_nothing(&self) -> bool {
        let is_program = |name: &String| name.starts_with("reconcile-forkserver-");
        let directories = self.directories.iter().all(is_program) && self.directories.len() <= 1;
        self.notes == 0 && self.processes == 0 && directories
    }
}

impl Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Left { notes, processes, directories } = self;
        write!(f, "left: {notes} notes, {processes} processes, {} directories {directories:?}", directories.len())
    }
}

/// It is over, whatever happens.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
