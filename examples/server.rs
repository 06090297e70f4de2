//! A throw-away Prefect server: runs the command given with `PREFECT_API_URL` set, or waits for Ctrl-C.
#![expect(clippy::disallowed_methods, reason = "an example touches the world")]

use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};

use reconcile::local::{self, Launch, Lifetime, LocalError};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let cache = local::cache_dir(|name| std::env::var(name).ok());
    let prefect = local::install(&cache, &|line| eprintln!("{line}")).await.map_err(explained)?;
    let home = tempfile::tempdir()?;
    let launch = Launch {
        python: prefect.python.clone(),
        home: home.path().to_owned(),
        record: home.path().join("server.json"),
        port: 0,
        lifetime: Lifetime::Starter { temporary: Some(home.path().to_owned()) },
        settings: vec![],
    };
    fs::copy(&prefect.template, launch.database())?;
    let (mut server, url) = launch.start().await.map_err(explained)?;
    local::create_pool(&url).await.map_err(explained)?;

    let mut words = std::env::args_os().skip(1);
    let code = match words.next() {
        Some(program) => {
            let status = Command::new(program).args(words).env("PREFECT_API_URL", &url).status()?;
            ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        None => {
            println!("export PREFECT_API_URL={url}");
            eprintln!("a server with a work pool `{}` is running; Ctrl-C ends it", local::POOL);
            tokio::signal::ctrl_c().await?;
            ExitCode::SUCCESS
        }
    };
    server.kill()?;
    server.wait()?;
    Ok(code)
}

fn explained(error: LocalError) -> String {
    format!("{error}\nhelp: {}", error.help())
}
