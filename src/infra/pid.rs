//! `Identity`: a process as nobody else can be it, since numbers of processes are used again.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process: its number, when it started, and since which start of the machine that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number, which is also that of its process group.
    pub pid: i32,
    /// When it started, in ticks since the machine did.
    pub started: u64,
    /// This start of the machine.
    pub boot: String,
}

impl Identity {
    /// That of a running process; none if there is no such process, or nothing to tell it by.
    pub fn of(pid: i32) -> Option<Identity> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields = Fields::read(&stat)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        (fields.state != "Z").then_some(Identity { pid, started: fields.started, boot })
    }

    /// The process group that was started for a run, as its environment tells.
    pub fn of_run(run: &str) -> Option<Identity> {
        let mark = format!("PREFECT__FLOW_RUN_ID={run}");
        let listed = fs::read_dir("/proc").ok()?;
        let pids = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let mut ours = pids.filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            Fields::read(&stat).is_some_and(|fields| fields.group == *pid)
                && environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
        });
        Identity::of(ours.next()?)
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        Identity::of(self.pid).as_ref() == Some(self)
    }
}

struct Fields {
    state: String,
    group: i32,
    started: u64,
}

impl Fields {
    /// Reads `/proc/PID/stat`: the second field is a name in brackets and may hold anything.
    fn read(stat: &str) -> Option<Fields> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let group = fields.get(2)?.parse().ok()?;
        Some(Fields { state: (*fields.first()?).to_owned(), group, started: fields.get(19)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_its_successor() {
        let me = i32::try_from(std::process::id()).expect("a small number");
        let Some(identity) = Identity::of(me) else { return eprintln!("skipped: no /proc here") };
        assert!(identity.is_alive());
        assert!(!Identity { started: identity.started + 1, ..identity.clone() }.is_alive());
        assert!(!Identity { boot: "another".to_owned(), ..identity }.is_alive());
        let odd = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 0";
        assert_eq!(Fields::read(odd).map(|fields| fields.started), Some(4711));
    }
}
