//! `hearth run` and `hearth dev`: a host until a signal ends it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use miette::{IntoDiagnostic, Report, miette};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{logging, terminal};
use crate::{
    activation::{self, Passed, State},
    config::{Admin, Config},
    playground::Options,
    serve::Hearth,
    stage::{self, Stage},
};

/// Where the playground's page is, if the port is free.
const PAGE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8788);

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
    let mut hearth = Hearth::start(config).await.into_diagnostic()?;
    if let Some(admin) = admin {
        hearth = hearth.observed_on(admin);
    }
    let (shutdown, hurry) = signals()?;
    tracing::info!(%listen, bots, "hearth is up");
    activation::notify(State::Ready);
    let shutdown = async {
        shutdown.await;
        activation::notify(State::Stopping);
    };
    hearth.serve(listener, shutdown, hurry).await;
    Ok(ExitCode::SUCCESS)
}

/// Runs the bots in the playground.
pub(super) async fn dev(config: Config) -> Result<ExitCode, Report> {
    logging::start("info");
    let stage = Stage::set(config, stage::PLAYGROUND, PAGE, Options::default()).await.into_diagnostic()?;
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
    let mut hearth = Hearth::start(stage.config).await.into_diagnostic()?;
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
    hearth.serve(stage.webhooks, shutdown, hurry).await;
    stage.playground.close();
    Ok(ExitCode::SUCCESS)
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
