//! The commands about the collector: `serve`, and `token` for its access rights.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use pipefold::config::parse_age;
use pipefold_collector::feeds::PublicUrl;

use super::flags::{number_within, text};

/// The collector's directory.
#[derive(Debug, Args)]
pub struct DataDirFlag {
    /// Directory of the collector [env: STATE_DIRECTORY, as systemd sets it]
    ///
    /// By default $XDG_STATE_HOME/pipefold-collector, else ~/.local/state/pipefold-collector. It is created if it is missing. It must
    /// contain nothing else and be closed to other users.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// The sources of webhooks.
#[derive(Debug, Args)]
pub struct SourceFlags {
    /// Take the webhooks of a CI system at /hooks/NAME: azure, bitbucket, buildkite, cdevents, circleci, drone, forgejo, gitea, github,
    /// gitlab, jenkins, teamcity, tekton, or another one with its component, NAME=FILE.wasm (repeatable)
    ///
    /// The secret of the webhook is in the variable PIPEFOLD_SOURCE_SECRET_NAME or in the file of --source-secret-file. Tables [[source]] of
    /// the operator's file have more settings.
    #[arg(long = "source", value_name = "NAME[=FILE[@sha256:HEX]]", value_parser = text())]
    pub sources: Vec<String>,

    /// File with the webhook's secret of a source; two lines are two secrets, to replace one by the other (repeatable)
    #[arg(long = "source-secret-file", value_name = "NAME=FILE", value_parser = text())]
    pub secret_files: Vec<String>,
}

/// Receive, keep, show and forward pipeline runs: a server that speaks DX's API
///
/// Point pipelines at it with DX_API_URL, and a browser to see what ran. Without a token it answers every process on this machine
/// and no other machine; `pipefold token add` makes tokens. With --forward-to it sends every run to DX, so that runners need not hold the DX token.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold serve
  pipefold serve --forward-to https://yourinstance.getdx.net --token-file dx-token
  pipefold serve --source github --source-secret-file github=webhook-secret
  pipefold serve --listen 0.0.0.0:8642 --tls-cert cert.pem --tls-key key.pem
  pipefold serve --backup runs.sqlite    while another one serves")]
pub struct ServeArgs {
    #[command(flatten)]
    pub data_dir: DataDirFlag,

    /// Address to listen on: 0.0.0.0:8642, [::]:8642, :8642 or 8642, which is for this machine alone; port 0 is any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8642", value_parser = listen)]
    pub listen: SocketAddr,

    /// Certificate chain (PEM); read again when it is replaced
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Trust X-Forwarded-For of a proxy in front, which terminates TLS
    #[arg(long)]
    pub behind_proxy: bool,

    #[command(flatten)]
    pub sources: SourceFlags,

    /// External URL of this server, used in links, such as https://example.com/runs [default: the address it listens on]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<PublicUrl>,

    /// Forward every run to this DX, with the token of --token-file
    #[arg(long, value_name = "URL", value_parser = text())]
    pub forward_to: Option<String>,

    /// Requests to DX a second, at most [default: 10; into a queue 1000]
    #[arg(long, value_name = "NUMBER", value_parser = number_within(0.1, 1000.0))]
    pub forward_rate: Option<f64>,

    /// Forward stale runs as cancelled: see --stale-after
    ///
    /// DX keeps the highest status that it ever received: failure, then cancelled, success, running. A stale run that succeeds later is a
    /// success here and stays cancelled in DX; one that fails is a failure in both.
    #[arg(long, requires = "forward_to")]
    pub forward_stale_as_cancelled: bool,

    /// Requests a second that a token may send, at most
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub token_rate: u32,

    /// Delete runs with no activity for this long, such as 90d [default: keep everything]
    #[arg(long, value_name = "TIME", value_parser = parse_age)]
    pub keep: Option<Duration>,

    /// Show unfinished runs as stale after no activity for this long
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_age)]
    pub stale_after: Duration,

    /// Back up the database to a new file and exit
    ///
    /// Tokens are not in the database: copy `tokens.json` of the directory too. To restore, put both into an empty directory.
    #[arg(long, value_name = "FILE")]
    pub backup: Option<PathBuf>,

    /// Check whether the server at --listen can store reports: exit code 0 if so, else 1
    ///
    /// For the health check of a container. One that speaks TLS itself is only asked whether it answers.
    #[arg(long, conflicts_with = "backup")]
    pub probe: bool,
}

/// Create, list and revoke the tokens of a collector
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// The commands about tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token, and show it this once
    ///
    /// It is written to stdout only. The collector stores a hash of it. A running collector accepts it at once.
    #[command(after_help = "\
Examples:
  pipefold token add builds --write > token
  pipefold token add web-team --read --pipelines 'web-*'")]
    Add {
        /// Name of the token; also the user name where a browser asks for one
        #[arg(value_name = "NAME", value_parser = text())]
        name: String,
        /// Only pipelines of these names, with * and ?, between commas (repeatable)
        #[arg(long, value_name = "GLOB", value_parser = text(), value_delimiter = ',')]
        pipelines: Vec<String>,
        /// Allow it to report runs, and not to read any without --read
        #[arg(long)]
        write: bool,
        /// Allow it to read runs, and not to report any without --write
        #[arg(long)]
        read: bool,
        #[command(flatten)]
        data_dir: DataDirFlag,
    },
    /// Show names and rights; the tokens themselves are not stored
    List {
        #[command(flatten)]
        data_dir: DataDirFlag,
    },
    /// Revoke a token; a running collector refuses it at once
    Revoke {
        /// Name of the token
        #[arg(value_name = "NAME", value_parser = text())]
        name: String,
        #[command(flatten)]
        data_dir: DataDirFlag,
    },
}

/// The default port.
const PORT: u16 = 8642;

/// Reads an address to listen on, in one of the forms that servers take.
fn listen(text: &str) -> Result<SocketAddr, String> {
    let wrong = || "give an IP address and a port, such as 0.0.0.0:8642, [::1]:8642, :8642 or 8642".to_owned();
    let port = |text: &str| text.parse::<u16>().map_err(|_| wrong());
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let host = |text: &str| match text {
        "" => Some(Ipv4Addr::UNSPECIFIED),
        "localhost" => Some(Ipv4Addr::LOCALHOST),
        _ => None,
    };
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok((ip, PORT).into());
    }
    match text.rsplit_once(':') {
        Some((name, number)) => Ok((host(name).ok_or_else(wrong)?, port(number)?).into()),
        None if text == "localhost" => Ok((Ipv4Addr::LOCALHOST, PORT).into()),
        None => Ok((Ipv4Addr::LOCALHOST, port(text)?).into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_every_usual_form() {
        for (text, address) in [
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::]:80", "[::]:80"),
            ("8642", "127.0.0.1:8642"),
            (":8642", "0.0.0.0:8642"),
            ("localhost", "127.0.0.1:8642"),
            ("localhost:80", "127.0.0.1:80"),
            ("192.0.2.1", "192.0.2.1:8642"),
            ("::1", "[::1]:8642"),
        ] {
            assert_eq!(listen(text), Ok(address.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            ":",
            "70000",
            "example.com:80",
            "127.0.0.1:",
            "http://127.0.0.1:80",
            "[::1",
            "unix:/run/x",
        ] {
            assert!(listen(text).unwrap_err().contains("such as"), "{text}");
        }
    }

    #[test]
    fn rates() {
        let rate = number_within(0.1, 1000.0);
        assert_eq!((rate("0.1"), rate("1000")), (Ok(0.1), Ok(1000.0)));
        for text in ["", "0", "-1", "1001", "nan", "inf"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
