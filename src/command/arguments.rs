//! What can be said on the command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::store::SumBy;

/// One API over many model providers.
#[derive(Clone, Debug, Parser)]
#[command(name = "gateway", version, about)]
pub(super) struct Arguments {
    /// The configuration; without it, gateway.toml of the working folder, if there is one
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where to listen; without it, what the configuration says, else port $PORT, else 127.0.0.1:8787
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<SocketAddr>,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// What is to be done.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Serve (the default)
    Serve,
    /// Check the configuration; reaches nobody
    Check,
    /// Make, list and change keys
    #[command(subcommand)]
    Keys(Keys),
    /// List the models
    Models,
    /// What was used and what it cost
    Usage {
        /// What to sum by
        #[arg(long, value_parser = sum_by, default_value = "model", value_name = "model|provider|key|day")]
        by: SumBy,
        /// Of this workspace only
        #[arg(long)]
        workspace: Option<String>,
    },
}

/// What is to be done to keys.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a key and print it: it is never shown again
    Create(Create),
    /// List the keys
    List {
        /// Those of this workspace only
        #[arg(long)]
        workspace: Option<String>,
    },
    /// Stop a key for now
    Pause {
        /// The key's id: the part after `aistats_v1_k_`
        id: String,
    },
    /// Let a paused key work again
    Resume {
        /// The key's id
        id: String,
    },
    /// Give a key another secret and print it
    Rotate {
        /// The key's id
        id: String,
        /// How long the old secret still works
        #[arg(long, default_value = "24h", value_parser = time)]
        grace: Duration,
    },
    /// Stop a key for good
    Revoke {
        /// The key's id
        id: String,
    },
}

/// A key to be made.
#[derive(Args, Clone, Debug)]
pub(super) struct Create {
    /// Its name
    #[arg(long)]
    pub(super) name: String,
    /// Its workspace
    #[arg(long)]
    pub(super) workspace: Option<String>,
    /// When it stops to work
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) expires_in: Option<Duration>,
    /// The models it may use, by id; `openai/*` for all that begin so
    #[arg(long, value_delimiter = ',')]
    pub(super) models: Vec<String>,
    /// The providers it may use
    #[arg(long, value_delimiter = ',')]
    pub(super) providers: Vec<String>,
    /// The operations it may use: chat, embeddings, images, moderations
    #[arg(long, value_delimiter = ',')]
    pub(super) operations: Vec<String>,
    /// A key that administers and calls no model
    #[arg(long)]
    pub(super) management: bool,
}

fn sum_by(name: &str) -> Result<SumBy, &'static str> {
    SumBy::ALL.into_iter().find(|by| by.name() == name).ok_or("sums are by model, provider, key or day")
}

/// `90s`, `15m`, `24h`, `30d`.
fn time(text: &str) -> Result<Duration, &'static str> {
    const EXAMPLE: &str = "a time is a whole number and s, m, h or d, such as 24h";
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(EXAMPLE)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(EXAMPLE),
    };
    let number: u32 = number.parse().map_err(|_| EXAMPLE)?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_hold_together() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn times() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for bad in ["", "s", "5", "-5s", "5w", "5é", "99999999999d"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
