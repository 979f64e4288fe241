//! `hearth run` and `hearth dev`: a host until a signal ends it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use miette::{IntoDiagnostic, Report, miette};
use rustix::process::Pid;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{logging, terminal, workshop::Workshop};
use crate::{
    activation::{self, Passed, State},
    agent::guard::{self, Guard},
    config::{Admin, Config, Salvage},
    playground::Options,
    reload::Reloader,
    serve::Hearth,
    stage::{self, Stage},
};

/// Where the playground's page is, if the port is free.
const PAGE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8788);

/// Whom one can also speak as in the playground.
const COLLEAGUES: [&str; 2] = ["Mira", "Tom"];

/// Runs the bots against the real Campfire, with the socket that was passed on to this process, if one was.
pub(super) async fn run(config: Config, passed: Option<Passed>) -> Result<ExitCode, Report> {
    logging::start("info");
    config.for_production()?;
    let listener = match passed {
        Some(passed) => passed.into_tokio()?,
        None => bind(config.host.listen).await?,
    };
    let (listen, bots) = (listener.local_addr().into_diagnostic()?, config.bots.len());
    let admin = admin(config.host.admin.as_ref()).await;
    let path = config.path.clone();
    let _guard = guarded(&config);
    let hearth = Hearth::start(config).await.into_diagnostic()?;
    let source = move || Ok(Salvage::load(&path)?.for_production());
    let mut hearth = hearth.following(Arc::new(source));
    if let Some(admin) = admin {
        hearth = hearth.observed_on(admin);
    }
    reload_on_hangup(hearth.reloader().clone())?;
    let (shutdown, hurry) = signals()?;
    tracing::info!(%listen, bots, "hearth is up");
    activation::notify(State::Ready);
    let shutdown = async {
        shutdown.await;
        activation::notify(State::Stopping);
    };
    hearth.serve(listener, shutdown, hurry).await.into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the bots in the playground.
pub(super) async fn dev(config: Config) -> Result<ExitCode, Report> {
    logging::start("info");
    let stage = Stage::set(config, stage::PLAYGROUND, PAGE, Options::default()).await.into_diagnostic()?;
    for colleague in COLLEAGUES {
        stage.playground.add_person(colleague);
    }
    let agent = if stage.config.agent.is_demo {
        "the demo agent (set `[agent] command = \"claude\"` in bots.toml for the real one)"
    } else {
        "the agent of bots.toml"
    };
    // Only this machine looks at a playground.
    let admin = match &stage.config.host.admin {
        Some(admin) => {
            let listen = (Ipv4Addr::LOCALHOST, admin.listen.port()).into();
            Some(stage::bind_or_any(listen).await.into_diagnostic()?)
        }
        None => None,
    };
    let names = stage.config.bots.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (path, wardrobe) = (stage.config.path.clone(), stage.wardrobe);
    let _guard = guarded(&stage.config);
    let hearth = Hearth::start_for_development(stage.config).await.into_diagnostic()?;
    let source = move || {
        let mut salvage = Salvage::load(&path)?;
        wardrobe.dress(&mut salvage.config);
        Ok(salvage)
    };
    let mut hearth = hearth.following(Arc::new(source)).seen_from(stage.playground.clone());
    reload_on_hangup(hearth.reloader().clone())?;
    let workshop = Workshop { roster: Arc::clone(hearth.roster()), playground: stage.playground.clone() };
    let mut dashboard = String::new();
    if let Some(listener) = admin {
        let address = listener.local_addr().into_diagnostic()?;
        dashboard = format!("  How they fare is shown at http://{address}/.\n");
        hearth = hearth.observed_on(listener);
    }
    terminal::print(&format!(
        "\n  Hearth is up. Open http://{}/ and write to {names}.\n{dashboard}  Answers come from {agent}. Ctrl-C ends it.\n",
        stage.page.address,
    ));
    let (shutdown, hurry) = signals()?;
    let workshop = tokio::spawn(workshop.run());
    let served = hearth.serve(stage.webhooks, shutdown, hurry).await;
    workshop.abort();
    stage.playground.close();
    served.into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

/// Ends the agents of a host once that has ended, and itself.
pub(super) async fn guard(data: PathBuf, host: i32, grace: u64) -> Result<ExitCode, Report> {
    logging::start("info");
    if let Some(host) = Pid::from_raw(host) {
        guard::stand(&data, host, Duration::from_millis(grace), tokio::io::stdin()).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Somebody who ends the agents if this process is killed. Without one they are ended at the next start.
pub(super) fn guarded(config: &Config) -> Option<Guard> {
    Guard::start(&config.host.data_dir, config.agent.deadlines.exit)
        .inspect_err(|error| {
            tracing::warn!(%error, "nobody guards the agents; if this host is killed, they live until its next start");
        })
        .ok()
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Report> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            miette!(help = "end what listens there, or set another `listen` in [host]", "{address} is in use")
        }
        _ => miette!(
            help = "set an address of this machine as `listen` in [host]",
            "can't listen on {address}: {error}"
        ),
    })
}

/// Has everything read again on SIGHUP. What comes of it is in the log.
fn reload_on_hangup(reloader: Reloader) -> Result<(), Report> {
    let mut hangup = signal(SignalKind::hangup()).into_diagnostic()?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP: everything is read again");
            // What came of it is in the log; a host that ends needs none.
            let _ = reloader.reload().await;
        }
    });
    Ok(())
}

/// The admin listener; none if it is off. That it can't be had is no reason for the bots to be silent.
async fn admin(admin: Option<&Admin>) -> Option<TcpListener> {
    let Admin { listen, token } = admin?;
    match TcpListener::bind(listen).await {
        Ok(listener) => {
            if let Ok(listen) = listener.local_addr() {
                tracing::info!(%listen, login = token.is_some(), "dashboard and metrics are up");
            }
            Some(listener)
        }
        Err(error) => {
            tracing::error!(
                %listen, %error,
                "there is no dashboard and there are no metrics; set another `admin` in [host], or \"off\""
            );
            None
        }
    }
}

/// Two futures: the first SIGTERM or Ctrl-C, and the second.
fn signals() -> Result<(impl Future<Output = ()>, impl Future<Output = ()>), Report> {
    let mut terminate = signal(SignalKind::terminate()).into_diagnostic()?;
    let mut interrupt = signal(SignalKind::interrupt()).into_diagnostic()?;
    let (first, second) = (CancellationToken::new(), CancellationToken::new());
    let (shutdown, hurry) = (first.clone().cancelled_owned(), second.clone().cancelled_owned());
    tokio::spawn(async move {
        for seen in [first, second] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            seen.cancel();
        }
    });
    Ok((shutdown, hurry))
}
