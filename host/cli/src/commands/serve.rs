//! `serve`: the collector.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use pipefold::Judge;
use pipefold::Token;
use pipefold::config::Environment;
use pipefold::detect::Fields;
use pipefold::dx::{Client, ClientOptions, DxUrl, ProxyOptions};
use pipefold_collector::access::TOKENS_FILE;
use pipefold_collector::forward::ForwardOptions;
use pipefold_collector::page::Forge;
use pipefold_collector::server::{Collector, Limits, Options, TlsFiles};
use pipefold_collector::store::sqlite;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::context::settings;
use super::diagnostic::remark;
use super::server::{StopSignals, judge, log};
use super::sources::sources;
use super::{fleet, print_json, print_lines};
use crate::args::{DataDirFlag, GlobalFlags, ServeArgs};
use crate::terminal::say;

/// `pipefold serve`
pub fn run(global: &GlobalFlags, args: &ServeArgs) -> anyhow::Result<ExitCode> {
    if global.token_file.is_some() && args.forward_to.is_none() {
        bail!("--token-file does nothing in `serve` without --forward-to");
    }
    let environment = Environment::from_process();
    if args.probe {
        return probe(global, args.listen);
    }
    let data_dir = data_dir(&args.data_dir, &environment)?;
    if let Some(file) = &args.backup {
        sqlite::backup(&data_dir, file)?;
        let (dir, tokens) = (data_dir.display(), data_dir.join(TOKENS_FILE));
        let (file, tokens) = (file.display(), tokens.display());
        remark(
            global,
            &format!("every run in {dir} is in {file}; tokens are not: copy {tokens} too"),
        );
        return Ok(ExitCode::SUCCESS);
    }
    log(global);
    let forward = forward(global, args, &environment)?;
    let configured = settings(global, Fields::default(), &environment)?;
    let sources = sources(global, &args.sources, &environment, &configured.sources)?;
    let forges = configured.forges.iter().map(|keys| {
        let forge = Forge::new(keys.kind, &keys.url, keys.repositories.as_deref());
        forge.with_context(|| format!("the table [[forge]] with the url {:?}", keys.url))
    });
    let forges = forges.collect::<anyhow::Result<_>>()?;
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    let options = Options {
        data_dir,
        address: args.listen,
        tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
        behind_proxy: args.behind_proxy,
        public_url: args.public_url.clone(),
        limits: Limits {
            per_token: args.token_rate,
            ..Limits::default()
        },
        forward,
        keep: args.keep,
        stale_after: args.stale_after,
        sources,
        forges,
    };
    let judge = judge(global, &environment)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads that serve")?;
    let code = runtime.block_on(serve(global, options, judge))?;
    // A request to DX may wait for its answer in a thread of its own, for longer than a stop of the server may take. It is sent again.
    runtime.shutdown_background();
    Ok(code)
}

/// Serves until a signal.
async fn serve(global: &GlobalFlags, options: Options, judge: Judge) -> anyhow::Result<ExitCode> {
    // Before the address is printed: from then on a signal ends the server cleanly.
    let signals = StopSignals::catch()?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let data_dir = options.data_dir.clone();
    let collector = Collector::bind(options, Arc::new(judge)).await?;
    announce(global, &collector, &data_dir)?;
    // SIGHUP of a closed terminal ends its server; from a service manager it asks to read files again, which happens by itself.
    let at_terminal = std::io::stdin().is_terminal();
    let first = async |signals: &mut StopSignals| loop {
        tokio::select! {
            stop = signals.next() => break stop.to_string(),
            _ = hangup.recv() => {}
        }
        if at_terminal {
            break "SIGHUP".to_owned();
        }
        remark(
            global,
            "SIGHUP: tokens, certificates, the DX token and secrets of sources are read again whenever they change; for flags start it again",
        );
    };
    let run = |stopped: oneshot::Receiver<()>| {
        collector.run(async {
            // A dropped sender asks to stop as well.
            let _ = stopped.await;
        })
    };
    Ok(match signals.run(global, first, run).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(second) => {
            say(&format!(
                "pipefold: {second}: requests under way are cut; acknowledged ones are on disk"
            ));
            ExitCode::from(second.exit_code())
        }
    })
}

/// The collector's directory, as given or by default.
pub fn data_dir(flag: &DataDirFlag, environment: &Environment) -> anyhow::Result<PathBuf> {
    if let Some(dir) = &flag.data_dir {
        return Ok(dir.clone());
    }
    if let Some(dir) = environment.absolute_path("STATE_DIRECTORY") {
        return Ok(dir);
    }
    let state = environment
        .absolute_path("XDG_STATE_HOME")
        .or_else(|| Some(environment.absolute_path("HOME")?.join(".local/state")));
    let state = state
        .ok_or_else(|| anyhow!("there is no home directory to store runs in: name a directory with --data-dir"))?;
    Ok(state.join("pipefold-collector"))
}

/// Prints the address on stdout, and a warning about missing tokens on stderr.
fn announce(global: &GlobalFlags, collector: &Collector, data_dir: &Path) -> anyhow::Result<()> {
    let url = collector.url();
    if collector.is_open()? {
        remark(
            global,
            "there is no token: everyone on this machine, and no other machine, may report and read, with any token or none; \
             `pipefold token add NAME` makes one",
        );
    }
    for path in collector.hooks() {
        remark(global, &format!("webhooks are taken at {url}{path}"));
    }
    if global.json {
        print_json(&json!({ "url": url, "data_dir": data_dir.display().to_string() }))
    } else {
        print_lines(&format!("{url}\n"))
    }
}

fn forward(
    global: &GlobalFlags,
    args: &ServeArgs,
    environment: &Environment,
) -> anyhow::Result<Option<ForwardOptions>> {
    let settings = settings(global, Fields::default(), environment)?;
    if let Some(queue) = &settings.queue {
        if args.forward_to.is_some() {
            bail!(
                "--forward-to and a queue ({}) are both given: give only one of them",
                queue.url.origin
            );
        }
        let outlet = fleet::outlet(queue, settings.ca_file.as_ref())?;
        let usual = ForwardOptions::into_queue(outlet);
        return Ok(Some(ForwardOptions {
            per_second: args.forward_rate.unwrap_or(usual.per_second),
            ..usual
        }));
    }
    let Some(url) = &args.forward_to else {
        if args.forward_rate.is_some() {
            bail!("--forward-rate needs a target: give --forward-to or --queue");
        }
        return Ok(None);
    };
    let Some(token_file) = &global.token_file else {
        bail!("--forward-to needs the DX token: put it into a file, and give --token-file");
    };
    // Read now, so that a fault is an error of the start and not a line in a log.
    Token::from_file(token_file)?;
    let client = Client::new(ClientOptions {
        url: DxUrl::parse(url)?,
        ca_file: global.ca_file.clone(),
        proxy: ProxyOptions::from_env(|name| environment.get(name).map(str::to_owned)),
    })?;
    let usual = ForwardOptions::new(client, token_file.clone());
    Ok(Some(ForwardOptions {
        per_second: args.forward_rate.unwrap_or(usual.per_second),
        stale_after: args.forward_stale_as_cancelled.then_some(args.stale_after),
        ..usual
    }))
}

/// The timeout of each of connect, write and read: container engines wait 30 s for a whole probe by default.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The bytes of the answer that are read: its head has the status.
const PROBE_ANSWER: u64 = 4096;

/// The first byte of a TLS alert (RFC 8446, section 5.1), with which a TLS server answers a plain request.
const TLS_ALERT: u8 = 21;

/// `serve --probe`: asks the collector at `address` if it can store reports.
fn probe(global: &GlobalFlags, address: SocketAddr) -> anyhow::Result<ExitCode> {
    let answer = get_readyz(near(address)).with_context(|| format!("nothing answers at {}", near(address)))?;
    let what = match http_status(&answer) {
        Some(200) => "the collector can keep reports",
        Some(503) => bail!("the collector cannot keep reports now; its log has the reason"),
        None if answer.first() == Some(&TLS_ALERT) => "a TLS server answers",
        _ => bail!("the server at {} is not a collector", near(address)),
    };
    remark(global, what);
    Ok(ExitCode::SUCCESS)
}

/// The address at which this machine reaches a server that listens on every address.
fn near(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}

fn get_readyz(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    stream.set_write_timeout(Some(PROBE_TIMEOUT))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // A partial answer counts, too.
    match stream.take(PROBE_ANSWER).read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

fn http_status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.1 ")?;
    line.get(..3)?.parse().ok()
}
