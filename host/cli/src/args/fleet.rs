//! The commands about a fleet's queue: `queue` creates and checks it, `forward` empties it.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Subcommand};
use pipefold::config::{parse_duration, parse_size};

use super::flags::number_within;

/// Create and check the queue of a fleet (NATS JetStream)
#[derive(Debug, Args)]
pub struct QueueArgs {
    #[command(subcommand)]
    pub command: QueueCommand,
}

/// The commands about the queue.
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// Create the streams and consumer; existing ones are left unchanged and differences are reported
    #[command(after_help = "\
Example:
  pipefold queue init --queue tls://nats-1.example.com,tls://nats-2.example.com --replicas 3")]
    Init {
        /// Number of servers that store each message before it is acknowledged: 1, 3 or 5
        #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = replicas, allow_negative_numbers = true)]
        replicas: u8,
        /// Maximum size of the queue; when it is full, new upserts wait in the spools
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
pub struct ForwardArgs {
    #[command(subcommand)]
    pub command: Option<ForwardCommand>,

    /// Requests to DX a second of this forwarder, at most
    #[arg(long, value_name = "NUMBER", default_value_t = 10.0, value_parser = number_within(0.01, 100_000.0), allow_negative_numbers = true)]
    pub rate: f64,

    /// Time that a run's first upsert waits for others to be sent with it, such as 2s
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = window)]
    pub window: Duration,

    /// Concurrent requests to DX, at most
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = concurrency, allow_negative_numbers = true)]
    pub concurrency: u16,

    /// Address that answers /metrics and /healthz; port 0 is any free one, and is printed on stdout
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub listen: Option<SocketAddr>,

    /// Let --listen be an address that other machines can reach
    #[arg(long, requires = "listen")]
    pub listen_anywhere: bool,
}

/// The commands beside forwarding.
#[derive(Debug, Subcommand)]
pub enum ForwardCommand {
    /// List, retry or drop upserts that DX or the rules refused for good
    Rejected {
        #[command(subcommand)]
        command: RejectedCommand,
    },
}

/// The commands about refused upserts.
#[derive(Debug, Subcommand)]
pub enum RejectedCommand {
    /// Show refused upserts, oldest first, with the reason
    List {
        /// Number of upserts to show, at most
        #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = limit, allow_negative_numbers = true)]
        limit: usize,
    },
    /// Put refused upserts back into the queue, to be sent again: all, or those with these numbers
    Retry {
        /// Their numbers, as `list` shows them
        #[arg(value_name = "NUMBER", value_parser = number, allow_negative_numbers = true)]
        numbers: Vec<u64>,
        /// All of them, as without numbers
        #[arg(long, conflicts_with = "numbers")]
        all: bool,
    },
    /// Delete refused upserts
    Drop(RejectedNumbers),
}

/// A choice of refused upserts.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct RejectedNumbers {
    /// Their numbers, as `list` shows them
    #[arg(value_name = "NUMBER", value_parser = number, allow_negative_numbers = true)]
    pub numbers: Vec<u64>,
    /// All of them
    #[arg(long)]
    pub all: bool,
}

/// Reads a number of replicas. Even numbers are refused: their majority is that of the next odd number, so that they survive no more losses.
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
    let wanted = "give an IP address and a port, such as 127.0.0.1:9642 or [::1]:9642";
    text.parse().map_err(|_| wanted.to_owned())
}

fn limit(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "give a whole number, such as 1000".to_owned())
}

fn number(text: &str) -> Result<u64, String> {
    let wanted = "give the number at the start of a line of `pipefold forward rejected list`";
    text.parse().map_err(|_| wanted.to_owned())
}

/// Reads a duration of at most 10 minutes, many times what the queue waits for an acknowledgement.
fn window(text: &str) -> Result<Duration, String> {
    let window = parse_duration(text)?;
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
        let rate = number_within(0.01, 100_000.0);
        assert_eq!((rate("0.01"), rate("100000")), (Ok(0.01), Ok(100_000.0)));
        assert!(rate("0").is_err() && rate("nan").is_err() && rate("100001").is_err());
        assert_eq!(window("0"), Ok(Duration::ZERO));
        assert!(window("11m").is_err());
    }
}
