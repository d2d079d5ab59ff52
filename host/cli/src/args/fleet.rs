//! A fleet's queue: `queue` makes and checks it, `forward` empties it.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Subcommand};
use pipefold::config::parse_size;

use super::values::duration;

/// Make and check the queue of a fleet (NATS JetStream)
#[derive(Debug, Args)]
pub(crate) struct QueueArgs {
    #[command(subcommand)]
    pub(crate) command: QueueCommand,
}

/// What to do with the queue.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Create the streams and consumer; existing ones are left unchanged and differences are reported
    #[command(after_help = "\
Example:
  pipefold queue init --queue tls://nats-1.example.com,tls://nats-2.example.com --replicas 3")]
    Init {
        /// On how many servers each message is kept before it is acknowledged: 1, 3 or 5
        #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = replicas, allow_negative_numbers = true)]
        replicas: u8,
        /// The most the queue may hold; then what comes waits in the spools
        #[arg(long, value_name = "SIZE", default_value = "1 GiB", value_parser = size, allow_negative_numbers = true)]
        max_size: u64,
    },
    /// Show the state of the streams, and settings that differ from what they should be
    Check,
}

/// Send what is in the queue of a fleet to DX
///
/// Any number of forwarders may run. Each takes upserts from the queue, collects those of a run for the window, folds them through the
/// policies and the rules, and sends DX one request. What DX refuses for good is stored with DX's message: see `forward rejected`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipefold forward --queue tls://nats.example.com --dx-url https://yourinstance.getdx.net --token-file dx-token
  pipefold forward rejected list")]
pub(crate) struct ForwardArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ForwardCommand>,

    /// Requests to DX a second of this forwarder, at most
    #[arg(long, value_name = "NUMBER", default_value_t = 10.0, value_parser = rate, allow_negative_numbers = true)]
    pub(crate) rate: f64,

    /// For how long a run's first upsert waits for others to go with it, such as 2s
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = window)]
    pub(crate) window: Duration,

    /// Requests to DX under way at a time, at most
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = concurrency, allow_negative_numbers = true)]
    pub(crate) concurrency: u16,

    /// Answer /metrics and /healthz here; port 0 is any free one, and is printed on stdout
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) listen: Option<SocketAddr>,

    /// Let --listen be an address that other machines can reach
    #[arg(long, requires = "listen")]
    pub(crate) listen_anywhere: bool,
}

/// What else to do with what was forwarded.
#[derive(Debug, Subcommand)]
pub(crate) enum ForwardCommand {
    /// What DX or the rules refused for good
    Rejected {
        #[command(subcommand)]
        command: RejectedCommand,
    },
}

/// What to do with what was refused.
#[derive(Debug, Subcommand)]
pub(crate) enum RejectedCommand {
    /// Show them, oldest first, with the reason
    List {
        /// How many, at most
        #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = limit, allow_negative_numbers = true)]
        limit: usize,
    },
    /// Put them back into the queue, to be sent again: all, or those with these numbers
    Retry {
        /// Their numbers, as `list` shows them
        #[arg(value_name = "NUMBER", value_parser = number, allow_negative_numbers = true)]
        numbers: Vec<u64>,
        /// All of them, as without numbers
        #[arg(long, conflicts_with = "numbers")]
        all: bool,
    },
    /// Forget them
    Drop(Which),
}

/// Which of those that were refused.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// Their numbers, as `list` shows them
    #[arg(value_name = "NUMBER", value_parser = number, allow_negative_numbers = true)]
    pub(crate) numbers: Vec<u64>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
}

/// Of an even number a majority is as many as of the next odd one, so that one more server survives nothing more.
fn replicas(text: &str) -> Result<u8, String> {
    let replicas = text.parse().ok().filter(|replicas| matches!(replicas, 1 | 3 | 5));
    replicas.ok_or_else(|| {
        "give 1, 3 or 5: 3 survive the loss of one server and 5 of two; 2 and 4 survive no more than 1 and 3".to_owned()
    })
}

fn size(text: &str) -> Result<u64, String> {
    // A stream has to hold something, or every upsert would be refused.
    const LEAST: u64 = 64 * 1024;
    let size = parse_size(text)?;
    match () {
        () if size < LEAST => Err("give a size from 64 KiB on, such as 1 GiB".to_owned()),
        () if i64::try_from(size).is_err() => Err("that is more than NATS can count: give less than 8 EiB".to_owned()),
        () => Ok(size),
    }
}

fn concurrency(text: &str) -> Result<u16, String> {
    let concurrency = text.parse().ok().filter(|number| (1..=256).contains(number));
    concurrency.ok_or_else(|| "give a whole number from 1 to 256".to_owned())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let wanted = "give an address and a port, such as 127.0.0.1:9642 or [::1]:9642; it is no name";
    text.parse().map_err(|_| wanted.to_owned())
}

fn limit(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "give a whole number, such as 1000".to_owned())
}

fn number(text: &str) -> Result<u64, String> {
    let wanted = "give the number that stands first in a line of `pipefold forward rejected list`";
    text.parse().map_err(|_| wanted.to_owned())
}

/// A number from 0.01 to 100,000.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.01..=100_000.0).contains(rate));
    rate.ok_or_else(|| "give a number from 0.01 to 100000".to_owned())
}

/// At most what the queue leaves a forwarder in peace for, many times over.
fn window(text: &str) -> Result<Duration, String> {
    let window = duration(text)?;
    if window > Duration::from_mins(10) {
        return Err("give at most 10m".to_owned());
    }
    Ok(window)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert_eq!(size("64 KiB"), Ok(65_536));
        assert_eq!(size("9223372036854775807"), Ok(9_223_372_036_854_775_807));
        assert!(size("1 KiB").is_err() && size("many").is_err() && size("9223372036854775808").is_err());
        assert_eq!((replicas("1"), replicas("3"), replicas("5")), (Ok(1), Ok(3), Ok(5)));
        assert!(
            ["0", "2", "4", "7", "-1", ""]
                .iter()
                .all(|text| replicas(text).is_err())
        );
        assert_eq!((concurrency("1"), concurrency("256")), (Ok(1), Ok(256)));
        assert!(concurrency("0").is_err() && concurrency("257").is_err());
        assert_eq!((rate("0.01"), rate("100000")), (Ok(0.01), Ok(100_000.0)));
        assert!(rate("0").is_err() && rate("nan").is_err() && rate("100001").is_err());
        assert_eq!(window("0"), Ok(Duration::ZERO));
        assert!(window("11m").is_err());
    }
}
