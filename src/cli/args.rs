//! The shape of the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use super::also::Also;
use crate::manifest::project::{MaxDelete, length_of_time};

/// GitOps for Prefect: keeps a Prefect API equal to a git repository.
///
/// Without a command, `reconcile` makes one pass: it shows the plan, then applies it.
#[derive(Debug, Parser)]
#[command(
    name = "reconcile",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
        reconcile plan                    what would change, without changing it\n  \
        reconcile apply --yes             apply without asking\n  \
        reconcile --watch                 keep applying what changes\n  \
        reconcile --watch --git https://example.org/flows.git --branch main\n  \
        reconcile plan -n 'etl/*' --json  the plan of some deployments, for machines\n  \
        reconcile validate flows/         check the files only\n\n\
        Exit codes: 0 done or nothing to do, 1 failed, 2 changes pending (plan --detailed-exitcode),\n\
        3 partly applied, 4 invalid files, 5 stale plan or lock held, 64 wrong usage, 130 interrupted."
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do; none makes one pass.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Arguments of a pass without a command.
    #[command(flatten)]
    pub bare: Bare,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what would change; writes nothing anywhere and runs no code of the repository
    #[command(after_help = "Examples:\n  reconcile plan\n  reconcile plan flows/ --detailed-exitcode\n  \
        reconcile plan --format markdown > comment.md\n  reconcile plan -n nightly --json --out plan.json\n  reconcile plan --base origin/main     what a pull request changes, without an API")]
    Plan(PlanArgs),
    /// Apply what the repository declares
    #[command(after_help = "Examples:\n  reconcile apply\n  reconcile apply --yes\n  \
        reconcile apply flows/etl.py:etl -n adhoc -p default --yes\n  reconcile apply -n 'etl/*' --yes --json\n  \
        reconcile plan --out plan.json && reconcile apply --plan plan.json --yes\n  \
        reconcile apply --rev HEAD~1          go back to the commit before")]
    Apply(ApplyArgs),
    /// Delete everything that this scope owns on the API
    #[command(
        after_help = "Examples:\n  reconcile plan --destroy           what would be deleted, without deleting it\n  \
        reconcile destroy                  shows it, and asks for the name of the scope\n  reconcile destroy --env staging --yes\n\n\
        What others made stays, and so do flows, with the history of their runs. `reconcile release` lets go of objects\n\
        that are to outlive the scope. Exits with 2 if something was held."
    )]
    Destroy(DestroyArgs),
    /// Show what changed on the API since the last apply; changes nothing
    #[command(after_help = "Examples:\n  reconcile drift\n  reconcile drift --env prod --json\n  \
        reconcile drift --format markdown > drift.md\n\nExits with 2 if something drifted.")]
    Drift(DriftCheckArgs),
    /// Show how the scope stands: what was applied, drift, what waits in git, who holds the lock
    #[command(after_help = "Examples:\n  reconcile status\n  reconcile status --env prod --json")]
    Status(StatusArgs),
    /// Let go of objects without deleting them
    #[command(after_help = "Examples:\n  reconcile release deployment/etl/nightly\n  \
        reconcile release 'deployment/etl/*' variable/region --yes\n  reconcile release work_pool/k8s infra/ --json --yes")]
    Release(ReleaseArgs),
    /// Check the files only: no API, no network
    #[command(after_help = "Examples:\n  reconcile validate\n  reconcile validate --format github")]
    Validate(ValidateArgs),
    /// Write files that declare what exists on the API, and take it over; changes no object
    #[command(after_help = "Examples:\n  reconcile import --all --dry-run       print what would be written\n  \
        reconcile import --all\n  reconcile import variable/region 'block/secret/*'\n  \
        reconcile import work_pool/k8s infra/   the pool and its queues, into the directory infra\n\n\
        A file that exists is never overwritten: another name is taken, such as blocks-2.reconcile.yaml.\n\
        Secrets are not written: the files name the variables of the environment that have to hold them.")]
    Import(ImportArgs),
    /// Show one object as it would be sent, with where each of its values comes from
    #[command(after_help = "Examples:\n  reconcile render deployment/etl/nightly\n  \
        reconcile render deployment/etl/nightly flows/ --json\n  reconcile render flow/etl\n  \
        reconcile render block/secret/token")]
    Render(RenderArgs),
    /// Start a project: a prefect.yaml and a .prefectignore, as `prefect init` writes them
    #[command(
        after_help = "Examples:\n  reconcile init\n  reconcile init --recipe docker --field image_name=acme/etl --field tag=v1\n\n\
        Recipes: local, git, s3, gcs, azure, docker, docker-git, docker-s3, docker-gcs, docker-azure.\n\
        Without one: git in a clone, docker where a Dockerfile is, docker-git where both are, else local."
    )]
    Init(InitArgs),
    /// Work on flows here: a private server, a watch and a worker in one terminal
    #[command(after_help = "Examples:\n  reconcile dev\n  reconcile dev flows/ --run etl/nightly\n  \
        reconcile dev --pool default --listen 127.0.0.1:8484\n\n\
        The server is that of `--local`: it keeps its database, and ends ten minutes after whoever used it last.\n\
        Ctrl-C ends the rest; runs under way get five seconds.")]
    Dev(DevArgs),
    /// Run the flows of a work pool, in the place of `prefect worker`
    #[command(after_help = "Examples:\n  reconcile worker start --pool default\n  \
        reconcile worker start -p default -q high -q low --limit 4 --name w1\n  \
        reconcile worker start -p default --run-once\n  reconcile worker status -p default")]
    Worker {
        /// What to do
        #[command(subcommand)]
        command: WorkerCommand,
    },
    /// Explain a diagnostic code, or list them all
    #[command(after_help = "Examples:\n  reconcile explain E0401\n  reconcile explain")]
    Explain {
        /// The code, such as E0401
        code: Option<String>,
    },
    /// Print a JSON Schema, or list them
    #[command(after_help = "Examples:\n  reconcile schema prefect > prefect.schema.json\n\n\
        An editor checks a file that begins with\n  # yaml-language-server: $schema=prefect.schema.json")]
    Schema {
        /// Of which file or output
        name: Option<SchemaName>,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Examples:\n  reconcile completions bash > /etc/bash_completion.d/reconcile\n  \
        reconcile completions fish > ~/.config/fish/completions/reconcile.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, of the whole or of one command
    #[command(after_help = "Examples:\n  reconcile man | man -l -\n  reconcile man plan > reconcile-plan.1")]
    Man {
        /// The command
        command: Option<String>,
    },
}

/// Flags of every command.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// The Prefect API [default: PREFECT_API_URL, or the active Prefect profile]
    #[arg(long, global = true, value_name = "URL", help_heading = "Connection")]
    pub api_url: Option<String>,
    /// Read the API key from a file instead of PREFECT_API_KEY
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub api_key_file: Option<PathBuf>,
    /// Use this profile of profiles.toml
    #[arg(long, global = true, value_name = "NAME", help_heading = "Connection")]
    pub profile: Option<String>,
    /// Use the private Prefect server of this machine, and install it once if need be
    #[arg(long, global = true, help_heading = "Connection")]
    pub local: bool,
    /// How long one request may take [default: PREFECT_API_REQUEST_TIMEOUT, or 60]
    #[arg(long, global = true, value_name = "SECONDS", help_heading = "Connection")]
    pub timeout: Option<f64>,
    /// How many writes may be under way at once, at most
    #[arg(long, global = true, value_name = "N", help_heading = "Connection")]
    pub parallelism: Option<usize>,
    /// Read the project's settings from this file instead of reconcile.yaml
    #[arg(long, global = true, value_name = "FILE", help_heading = "Project")]
    pub project: Option<PathBuf>,
    /// Use this environment of reconcile.yaml: its vars, and a scope of its own; repeatable with --watch
    #[arg(long = "env", global = true, value_name = "NAME", help_heading = "Project")]
    pub envs: Vec<String>,
    /// The one that a pass is about.
    #[arg(skip)]
    pub env: Option<String>,
    /// The Python to ask about flows that cannot be understood without running them
    #[arg(long, global = true, value_name = "FILE", help_heading = "Project")]
    pub python: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// Print no colour (NO_COLOR does the same)
    #[arg(long, global = true, help_heading = "Output")]
    pub no_color: bool,
    /// Print the result only
    #[arg(long, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Print more of what happens; twice for every request
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// How log lines are written
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub log_format: LogFormat,
}

/// A length of time that one can sleep between two passes.
fn interval(text: &str) -> Result<Duration, String> {
    match length_of_time(text)? {
        length if length >= Duration::from_secs(1) => Ok(length),
        _ => Err("an interval is at least 1s".to_owned()),
    }
}

/// A JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaName {
    /// reconcile.yaml
    Project,
    /// prefect.yaml, strictly
    Prefect,
    /// Resource files: blocks, variables, pools, limits, automations
    Resources,
    /// `plan --json` and `plan --out`
    Plan,
    /// `apply --json`
    Report,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal.
    Text,
    /// The machine-readable plan.
    Json,
    /// For a pull-request comment or a job summary.
    Markdown,
    /// GitHub annotations.
    Github,
    /// SARIF, diagnostics only.
    Sarif,
}

/// What becomes of a comment that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CommentMode {
    /// The command fails, after printing its result.
    Must,
    /// It is said, and that is all.
    Try,
}

/// Arguments of a pass without a command.
#[derive(Clone, Debug, Default, Args)]
pub struct Bare {
    /// The directory that declares what should be
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Apply without asking
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Wait so long for another pass of the same scope to finish, such as 90s or 10m [default: do not wait]
    #[arg(long, value_name = "DURATION", value_parser = length_of_time)]
    pub lock_timeout: Option<Duration>,
    /// Wait so long for runs under way of deployments that are to be deleted [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = length_of_time)]
    pub drain: Option<Duration>,
    /// Take the files as this commit of the remote repository holds them
    #[arg(long, value_name = "REV", help_heading = "Remote repository", requires = "url")]
    pub rev: Option<String>,
    /// Where the files are, if not on this machine.
    #[command(flatten)]
    pub git: GitArgs,
    /// Whether passes follow one another.
    #[command(flatten)]
    pub watch: WatchArgs,
    /// How a pass may rest on the one before.
    #[command(flatten)]
    pub drift: DriftArgs,
    /// What may be taken over and deleted.
    #[command(flatten)]
    pub owning: OwningArgs,
}

/// A repository that is not on this machine.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Remote repository")]
pub struct GitArgs {
    /// Take the files from this repository: an address (https, ssh, user@host:path, file) or a path; the default
    /// branch unless told otherwise
    #[arg(long = "git", value_name = "URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub url: Option<String>,
    /// The tip of this branch
    #[arg(long, value_name = "BRANCH", requires = "url", conflicts_with_all = ["git_tag", "rev"])]
    pub branch: Option<String>,
    /// This tag, or the highest version in a range such as '>=1.2, <2'
    #[arg(long, value_name = "TAG", requires = "url", conflicts_with = "rev")]
    pub git_tag: Option<String>,
    /// The directory of the repository that declares what should be [default: its top]
    #[arg(long, value_name = "DIR", requires = "url")]
    pub subdir: Option<String>,
    /// Check out git's submodules as well
    #[arg(long, requires = "url")]
    pub submodules: bool,
    /// Use only commits that somebody signed whom this file names: allowed signers of SSH, or OpenPGP public keys;
    /// repeatable
    #[arg(long, value_name = "FILE", requires = "url")]
    pub signers: Vec<PathBuf>,
}

/// Passes that follow one another.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Watching")]
pub struct WatchArgs {
    /// Keep reconciling: a pass whenever files change, on SIGHUP, and when the interval is over; implies --yes
    #[arg(long)]
    pub watch: bool,
    /// How long to wait for something to happen before looking again, such as 30s or 5m [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = interval, requires = "watch")]
    pub interval: Option<Duration>,
    /// Tell those whom this file names when the state changes: `slack URL`, `teams URL`, `webhook URL`, one a line
    /// [default: RECONCILE_NOTIFY]
    #[arg(long, value_name = "FILE", requires = "watch")]
    pub notify_file: Option<PathBuf>,
    /// Say on each commit how it stands, at the forge that GITHUB_REPOSITORY, or CI_PROJECT_ID and CI_API_V4_URL, name
    #[arg(long, requires = "watch")]
    pub commit_status: bool,
    /// Serve a status page, health, metrics and webhooks at this address, such as 127.0.0.1:8484
    #[arg(long, value_name = "ADDRESS", requires = "watch")]
    pub listen: Option<SocketAddr>,
    /// Read from this file what whoever wants to act has to show as bearer token [default: RECONCILE_TOKEN]
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub token_file: Option<PathBuf>,
    /// Read from this file what webhooks are signed with [default: RECONCILE_WEBHOOK_SECRET]
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub webhook_secret_file: Option<PathBuf>,
}

/// How much a pass may rest on the one before.
#[derive(Clone, Debug, Default, Args)]
pub struct DriftArgs {
    /// Compare everything only so long after the last time, such as 10m; in between a cheap probe tells whether
    /// anything moved on the API [default: drift_interval of reconcile.yaml, or 0: in every pass]
    #[arg(long, value_name = "DURATION", value_parser = length_of_time, help_heading = "Drift")]
    pub drift_interval: Option<Duration>,
    /// Compare everything now, whatever the drift interval
    #[arg(long, help_heading = "Drift")]
    pub full_compare: bool,
}

/// Which files and deployments are meant, and what is laid over them. A saved plan holds it.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selecting {
    /// The directory that declares what should be [default: .], or an entrypoint `file.py:flow` to deploy
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// Deploy this deployment: its name, flow/name, or a pattern with `*`; repeatable
    #[arg(short = 'n', long = "name", value_name = "NAME", help_heading = "Selection")]
    pub names: Vec<String>,
    /// Deploy all that is declared (the default)
    #[arg(long, help_heading = "Selection")]
    pub all: bool,
    /// Read this file only; its paths are relative to PATH
    #[arg(long, value_name = "FILE", help_heading = "Selection")]
    pub prefect_file: Option<String>,
    /// Take the files as this commit (or branch, or tag) holds them, not those on disk: to go back
    #[arg(long, value_name = "REV", help_heading = "Selection", conflicts_with = "changed_since")]
    pub rev: Option<String>,
    /// Where the files are, if not on this machine.
    #[command(flatten)]
    pub git: GitArgs,
    /// Only what files touch that changed since this commit; nothing counts as having left git then
    #[arg(long, value_name = "REV", help_heading = "Selection", conflicts_with = "url")]
    pub changed_since: Option<String>,
    /// Fill in block references everywhere, as `prefect deploy` does: secrets are then stored in clear text
    #[arg(long, help_heading = "Selection")]
    pub resolve_secrets: bool,
    /// Accepted for scripts written for `prefect deploy`; nothing ever prompts but the confirmation
    #[arg(long, hide = true)]
    pub no_prompt: bool,
    /// What may be taken over and deleted.
    #[command(flatten)]
    pub owning: OwningArgs,
    /// What is laid over one deployment.
    #[command(flatten)]
    pub overlay: OverlayArgs,
}

/// What may be taken over and deleted.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Ownership")]
pub struct OwningArgs {
    /// Delete what is ours and left git
    #[arg(long)]
    pub prune: bool,
    /// Delete at most so many objects: a number, or a share of what is ours such as 25%
    #[arg(long, value_name = "N|P%")]
    pub max_delete: Option<MaxDelete>,
    /// Take over what exists and belongs to nobody
    #[arg(long)]
    pub adopt: bool,
}

/// Values laid over a single selected deployment, as in `prefect deploy`.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Overlay (one deployment)")]
pub struct OverlayArgs {
    /// Its description
    #[arg(short = 'd', long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Its version
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// Where its version comes from, such as vcs:git or prefect:simple
    #[arg(long, value_name = "TYPE")]
    pub version_type: Option<String>,
    /// A tag; repeatable; replaces those of the file
    #[arg(short = 't', long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// How many of its runs may be under way at once
    #[arg(long, value_name = "N")]
    pub concurrency_limit: Option<i64>,
    /// What happens to a run over the limit: ENQUEUE or CANCEL_NEW
    #[arg(long, value_name = "STRATEGY")]
    pub collision_strategy: Option<String>,
    /// Its work pool
    #[arg(short = 'p', long, value_name = "POOL")]
    pub pool: Option<String>,
    /// Its work queue
    #[arg(short = 'q', long, value_name = "QUEUE")]
    pub work_queue: Option<String>,
    /// A job variable, `key=value` or a JSON object; repeatable; added to those of the file
    #[arg(long = "job-variable", value_name = "VARIABLE")]
    pub job_variables: Vec<String>,
    /// A cron schedule; repeatable; added to those of the file
    #[arg(long, value_name = "CRON")]
    pub cron: Vec<String>,
    /// An interval schedule in seconds; repeatable; added to those of the file
    #[arg(long, value_name = "SECONDS")]
    pub interval: Vec<i64>,
    /// An RRule schedule; repeatable; added to those of the file
    #[arg(long, value_name = "RRULE")]
    pub rrule: Vec<String>,
    /// The date that intervals are counted from
    #[arg(long, value_name = "DATE")]
    pub anchor_date: Option<String>,
    /// The time zone of all its schedules
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// A parameter, `key=value`, the value read as JSON where it is JSON; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub param: Vec<String>,
    /// Parameters as one JSON object
    #[arg(long, value_name = "JSON")]
    pub params: Option<String>,
    /// Refuse runs whose parameters do not fit the flow
    #[arg(long, overrides_with = "no_enforce_parameter_schema")]
    pub enforce_parameter_schema: bool,
    /// Do not check the parameters of runs
    #[arg(long)]
    pub no_enforce_parameter_schema: bool,
    /// A trigger as JSON, or a .yaml or .json file with `triggers`; repeatable; replaces those of the file
    #[arg(long = "trigger", value_name = "TRIGGER")]
    pub triggers: Vec<String>,
    /// A service level agreement as JSON, or a file with `sla`; repeatable (Prefect Cloud only)
    #[arg(long = "sla", value_name = "SLA")]
    pub slas: Vec<String>,
}

/// `reconcile init`
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// The directory [default: .]
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// How code and images are kept
    #[arg(long, value_name = "NAME")]
    pub recipe: Option<String>,
    /// What the recipe needs, as key=value; repeatable
    #[arg(short = 'f', long = "field", value_name = "KEY=VALUE")]
    pub fields: Vec<String>,
    /// The project's name [default: that of the directory]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// `reconcile plan`
#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// What is meant.
    #[command(flatten)]
    pub selecting: Selecting,
    /// Write the machine-readable plan to a file, for `apply --plan FILE`
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Compare the files with those of a commit (or branch, or tag) instead of an API; implies `--untrusted`
    #[arg(long, value_name = "REV", help_heading = "Selection")]
    pub base: Option<String>,
    /// For a stranger's pull request: read no API, no environment, no `.env` and no file of settings
    #[arg(long, help_heading = "Selection")]
    pub untrusted: bool,
    /// Show what `destroy` would delete; the files are not looked at
    #[arg(long, help_heading = "Selection", conflicts_with_all = ["base", "untrusted", "out", "names", "prefect_file", "rev", "changed_since", "prune"])]
    pub destroy: bool,
    /// Exit with 2 when changes are pending
    #[arg(long, help_heading = "Output")]
    pub detailed_exitcode: bool,
    /// Comment on the pull request that this job of GitHub or GitLab is about: one comment for each environment and
    /// workspace, updated in place; `--comment=try` does not fail where that cannot be done
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "must", help_heading = "Output")]
    pub comment: Option<CommentMode>,
    /// Add the report to a file in another form as well: markdown, json, github, sarif, outputs; repeatable
    #[arg(long, value_name = "FORM=FILE", help_heading = "Output")]
    pub also: Vec<Also>,
    /// How a pass may rest on the one before.
    #[command(flatten)]
    pub drift: DriftArgs,
    /// How the plan is printed
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<Format>,
    /// Show every change and whole values
    #[arg(long, help_heading = "Output")]
    pub full: bool,
}

/// `reconcile apply`
#[derive(Clone, Debug, Args)]
pub struct ApplyArgs {
    /// What is meant.
    #[command(flatten)]
    pub selecting: Selecting,
    /// Apply a plan that `plan --out FILE` wrote, if planning again still gives the same; repeat `--git` and what
    /// belongs to it
    #[arg(long, value_name = "FILE", help_heading = "Applying")]
    pub plan: Option<PathBuf>,
    /// Apply only what was reviewed: the plan that the comment of `plan --comment` on the merged pull request shows
    #[arg(long, help_heading = "Applying", conflicts_with = "plan")]
    pub reviewed: bool,
    /// Apply without asking
    #[arg(long, short = 'y', help_heading = "Applying")]
    pub yes: bool,
    /// Wait so long for another pass of the same scope to finish, such as 90s or 10m [default: do not wait]
    #[arg(long, value_name = "DURATION", value_parser = length_of_time, help_heading = "Applying")]
    pub lock_timeout: Option<Duration>,
    /// Wait so long for runs under way of deployments that are to be deleted [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = length_of_time, help_heading = "Applying")]
    pub drain: Option<Duration>,
    /// How a pass may rest on the one before.
    #[command(flatten)]
    pub drift: DriftArgs,
    /// Exit with 2 when something was held back instead of 0
    #[arg(long, help_heading = "Applying")]
    pub fail_on_held: bool,
    /// Add the report to a file in another form as well: markdown, json, github, sarif, outputs; repeatable
    #[arg(long, value_name = "FORM=FILE", help_heading = "Output")]
    pub also: Vec<Also>,
    /// Show every change and whole values
    #[arg(long, help_heading = "Output")]
    pub full: bool,
}

/// `reconcile destroy`
#[derive(Clone, Debug, Args)]
pub struct DestroyArgs {
    /// The directory with the project's reconcile.yaml [default: .]
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// Destroy without asking
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Wait so long for another pass of the same scope to finish, such as 90s or 10m [default: do not wait]
    #[arg(long, value_name = "DURATION", value_parser = length_of_time)]
    pub lock_timeout: Option<Duration>,
    /// Wait so long for runs under way of deployments that are to be deleted [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = length_of_time)]
    pub drain: Option<Duration>,
    /// Show every change
    #[arg(long, help_heading = "Output")]
    pub full: bool,
}

/// `reconcile drift`
#[derive(Clone, Debug, Args)]
pub struct DriftCheckArgs {
    /// The directory with the project's files [default: .]
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<DriftFormat>,
    /// Comment on the pull request that this job of GitHub or GitLab is about: one comment for each environment and
    /// workspace, updated in place; `--comment=try` does not fail where that cannot be done
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "must", help_heading = "Output")]
    pub comment: Option<CommentMode>,
    /// Add the report to a file in another form as well: markdown, json, github, sarif, outputs; repeatable
    #[arg(long, value_name = "FORM=FILE", help_heading = "Output")]
    pub also: Vec<Also>,
    /// Show everything that drifted and whole values
    #[arg(long, help_heading = "Output")]
    pub full: bool,
}

/// How drift is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DriftFormat {
    /// For a terminal.
    Text,
    /// For machines.
    Json,
    /// For an issue or a job summary.
    Markdown,
}

/// `reconcile status`
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// The directory with the project's files [default: .]
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
}

/// `reconcile release`
#[derive(Clone, Debug, Args)]
pub struct ReleaseArgs {
    /// What to let go, `*` for any characters in a name; then, if it is not the current directory, the PATH of the
    /// project
    #[arg(value_name = "KIND/NAME", required = true)]
    pub objects: Vec<String>,
    /// Let go without asking
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Wait so long for another pass of the same scope to finish, such as 90s or 10m [default: do not wait]
    #[arg(long, value_name = "DURATION", value_parser = length_of_time)]
    pub lock_timeout: Option<Duration>,
}

/// `reconcile render`
#[derive(Clone, Debug, Args)]
pub struct RenderArgs {
    /// The object, such as deployment/FLOW/NAME, block/TYPE/NAME, work_pool/NAME or automation/FLOW/NAME/TRIGGER
    #[arg(value_name = "KIND/NAME")]
    pub object: String,
    /// What is meant.
    #[command(flatten)]
    pub selecting: Selecting,
    /// Show whole values
    #[arg(long, help_heading = "Output")]
    pub full: bool,
}

/// `reconcile import`
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// What to import, such as block/secret/token or 'deployment/etl/*', and the directory for the files [default: .]
    #[arg(value_name = "KIND/NAME|PATH")]
    pub objects: Vec<String>,
    /// Import all there is, but for what is declared, what others own and what Prefect keeps for itself
    #[arg(long)]
    pub all: bool,
    /// Print the files instead of writing them, and take nothing over
    #[arg(long, visible_alias = "stdout")]
    pub dry_run: bool,
    /// Wait so long for another pass of the same scope to finish, such as 90s or 10m [default: do not wait]
    #[arg(long, value_name = "DURATION", value_parser = length_of_time)]
    pub lock_timeout: Option<Duration>,
}

/// `reconcile validate`
#[derive(Clone, Debug, Args)]
pub struct ValidateArgs {
    /// The directory that declares what should be [default: .]
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// Read this file only; its paths are relative to PATH
    #[arg(long, value_name = "FILE")]
    pub prefect_file: Option<String>,
    /// How the diagnostics are printed
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<Format>,
}

/// `reconcile dev`
#[derive(Clone, Debug, Args)]
pub struct DevArgs {
    /// The directory that declares what should be [default: .]
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// Start a run of this deployment as soon as everything is applied; repeatable
    #[arg(long = "run", value_name = "FLOW/NAME", value_parser = deployment_name)]
    pub runs: Vec<String>,
    /// Run the flows of this work pool, which is made if it does not exist; repeatable [default: local]
    #[arg(long = "pool", short = 'p', value_name = "NAME")]
    pub pools: Vec<String>,
    /// Serve a status page at this address, such as 127.0.0.1:8484
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

/// A flow and the name of a deployment.
fn deployment_name(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((flow, name)) if !flow.is_empty() && !name.is_empty() => Ok(text.to_owned()),
        Some(_) | None => Err("a deployment is named as FLOW/NAME".to_owned()),
    }
}

/// `reconcile worker`
#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Start a worker; it runs until it is interrupted
    #[command(after_help = "Examples:\n  reconcile worker start --pool default\n  \
        reconcile worker start -p default -q high -q low --limit 4 --name w1\n  \
        reconcile worker start -p default --run-once               take what is due, wait for its end, exit\n  \
        reconcile worker start -p default --python .venv/bin/python --with-healthcheck\n  \
        reconcile worker start -p default --warm 1                 fork runs from a Python that has imported Prefect\n\n\
        Pools of the types `process` and `docker` are served. Processes use the Python of --python, of the active\n\
        virtual environment, of .venv, or python3; it has to have Prefect. Containers run on the engine of DOCKER_HOST.")]
    Start(Box<WorkerStartArgs>),
    /// Show the workers of a pool, and the runs they have
    #[command(
        after_help = "Examples:\n  reconcile worker status --pool default\n  reconcile worker status -p default --json"
    )]
    Status {
        /// The work pool
        #[arg(long, short = 'p', value_name = "NAME")]
        pool: String,
    },
}

/// `reconcile worker start`
#[derive(Clone, Debug, Args)]
pub struct WorkerStartArgs {
    /// The work pool to run flows for
    #[arg(long, short = 'p', value_name = "NAME")]
    pub pool: String,
    /// The work queues to take runs from; repeatable [default: all of the pool]
    #[arg(long = "work-queue", short = 'q', value_name = "NAME")]
    pub queues: Vec<String>,
    /// What the worker is called; workers of one name are one worker to the server
    #[arg(long, short = 'n', value_name = "NAME", value_parser = worker_name)]
    pub name: Option<String>,
    /// The type of the worker, `process` or `docker` [default: what the pool has; `process` for a pool that is made]
    #[arg(long = "type", short = 't', value_name = "TYPE")]
    pub kind: Option<String>,
    /// How many runs it may have at once
    #[arg(long, short = 'l', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// So many seconds before its time a run is taken [default: PREFECT_WORKER_PREFETCH_SECONDS, or 10]
    #[arg(long, value_name = "SECONDS")]
    pub prefetch_seconds: Option<u32>,
    /// Keep up to N Pythons that have imported Prefect, one for each environment, and fork them for runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub warm: Option<u32>,
    /// Keep a mirror of each repository that `git_clone` steps clone, in RECONCILE_CACHE_DIR
    #[arg(long)]
    pub git_cache: bool,
    /// How much memory a run may have, such as 512M or 2G; needs control groups of version 2
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory_limit: Option<u64>,
    /// How long a run may take, such as 90s or 2h
    #[arg(long, value_name = "DURATION", value_parser = length_of_time)]
    pub time_limit: Option<Duration>,
    /// Take what is due now, wait until it has ended, and exit
    #[arg(long)]
    pub run_once: bool,
    /// Answer `GET /health` and `GET /metrics` on PREFECT_WORKER_WEBSERVER_HOST and _PORT [default: 0.0.0.0:8080]
    #[arg(long)]
    pub with_healthcheck: bool,
    /// How long runs may take to end when the worker is interrupted, such as 90s or 10m
    #[arg(long, value_name = "DURATION", value_parser = length_of_time, default_value = "20s")]
    pub drain_timeout: Duration,
    /// The base job template of a pool that is made, a JSON file
    #[arg(long, value_name = "FILE")]
    pub base_job_template: Option<PathBuf>,
    /// Make the pool if it does not exist (the default)
    #[arg(long, overrides_with = "no_create_pool_if_not_found")]
    pub create_pool_if_not_found: bool,
    /// Fail if the pool does not exist
    #[arg(long)]
    pub no_create_pool_if_not_found: bool,
    /// Accepted for scripts written for `prefect worker`; nothing has to be installed for a type of worker
    #[arg(long, hide = true, value_name = "POLICY")]
    pub install_policy: Option<String>,
}

/// A size in bytes: a number, or one of K, M, G or T of 1024 as systemd and Docker have them.
fn size(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 1 << 20;
    let wrong = || format!("`{text}` is no size, such as `512M` or `2G`");
    let word = text.trim().to_ascii_uppercase();
    let (number, unit) = word.split_at(word.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let power = match unit.trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err(wrong()),
    };
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(1024_u64.pow(power)).ok_or_else(wrong)?;
    if bytes < LEAST { Err("a limit is at least 1M".to_owned()) } else { Ok(bytes) }
}

impl WorkerStartArgs {
    /// A worker for a pool, of which nothing else is said.
    pub fn of(pool: String) -> WorkerStartArgs {
        WorkerStartArgs {
            pool,
            queues: Vec::new(),
            name: None,
            kind: None,
            limit: None,
            prefetch_seconds: None,
            warm: None,
            git_cache: false,
            memory_limit: None,
            time_limit: None,
            run_once: false,
            with_healthcheck: false,
            drain_timeout: Duration::from_secs(20),
            base_job_template: None,
            create_pool_if_not_found: false,
            no_create_pool_if_not_found: false,
            install_policy: None,
        }
    }
}

/// Names that the server takes.
fn worker_name(text: &str) -> Result<String, String> {
    match text.contains(['/', '%']) || text.is_empty() {
        true => Err("a worker's name must not be empty, and holds neither `/` nor `%`".to_owned()),
        false => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!((size("512M"), size("2g")), (Ok(512 << 20), Ok(2 << 30)));
        assert_eq!((size("1048576"), size("1GiB"), size("2048 kb")), (Ok(1 << 20), Ok(1 << 30), Ok(2 << 20)));
        assert!(["", "G", "-1G", "1.5G", "1X", "99999999999T", "12"].iter().all(|text| size(text).is_err()));
    }

    #[test]
    fn lengths_of_time_are_read() {
        let seconds = |text: &str| length_of_time(text).ok().map(|length| length.as_secs());
        assert_eq!((seconds("90"), seconds("90s"), seconds("10m")), (Some(90), Some(90), Some(600)));
        assert_eq!((seconds("1h 30m"), seconds("0"), seconds("-5s")), (Some(5400), Some(0), None));
        assert!(length_of_time("soon").expect_err("no length").contains("`soon`"));
    }
}
