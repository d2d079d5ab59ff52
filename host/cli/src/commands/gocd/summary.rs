//! The summary of all rounds, for people and in JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use pipefold_gocd::sync::Round;
use serde_json::{Value, json};

use super::delivery::DeliveryTotals;
use super::sink::Unrecorded;
use crate::terminal::{excerpt, human_duration, neutral};

/// The summary that is printed at the end.
pub struct Summary<'a> {
    pub server: String,
    pub server_id: &'a str,
    pub totals: &'a Totals,
    /// None in a dry run, which delivers nothing.
    pub delivered: Option<&'a DeliveryTotals>,
    pub unrecorded: &'a Unrecorded,
    /// The directory of the spool.
    pub spool: String,
    pub duration: Duration,
}

impl Summary<'_> {
    /// A line of numbers, then a line for each notice and warning.
    pub fn lines(&self) -> Vec<String> {
        let totals = self.totals;
        let mut numbers = vec![
            counted(totals.pipelines as u64, "pipeline"),
            format!("{} with news", counted(totals.runs, "run")),
            counted(totals.attempts, "attempt"),
            counted(totals.requests, "request"),
        ];
        if let Some(delivered) = self.delivered {
            numbers.push(format!(
                "{} accepted by DX",
                counted(delivered.accepted as u64, "upsert")
            ));
        }
        let mut lines = vec![format!(
            "{} in {}{}",
            numbers.join(", "),
            human_duration(self.duration),
            if totals.stopped {
                "; stopped before the end, the next one continues there"
            } else {
                ""
            }
        )];
        for (kind, (count, example)) in &totals.notices {
            lines.push(format!("{count} × {kind}, such as {}", excerpt(example)));
        }
        if totals.failed_count > totals.failed.len() {
            lines.push(format!("{} pipelines were not read to their end", totals.failed_count));
        }
        lines.extend(totals.unfitted.iter().map(|pattern| {
            let pattern = excerpt(pattern);
            format!("warning: --pipelines {pattern} fits no pipeline that this user may view; the others were read")
        }));
        lines.extend(self.warnings().iter().map(|warning| format!("warning: {warning}")));
        lines
    }

    /// Warnings about the spool and DX, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let unrecorded = self.unrecorded;
        if unrecorded.refused > 0 {
            warnings.push(format!("{} notifications were refused", unrecorded.refused));
        }
        warnings.extend(unrecorded.reasons.iter().map(|reason| excerpt(reason)));
        let Some(delivered) = self.delivered else {
            return warnings;
        };
        warnings.extend(delivered.warnings.iter().map(|warning| excerpt(warning)));
        if delivered.rejected > 0 {
            warnings.push(format!(
                "{} runs were refused for good and are in rejected/",
                delivered.rejected
            ));
            warnings.extend(delivered.refusals.iter().map(|refusal| excerpt(refusal)));
        }
        if delivered.waiting > 0 {
            warnings.push(format!(
                "{} in {}: {} (`pipefold flush` sends what waits)",
                match delivered.waiting {
                    1 => "1 run waits".to_owned(),
                    many => format!("{many} runs wait"),
                },
                neutral(&self.spool),
                excerpt(delivered.why.as_deref().unwrap_or("DX does not have them"))
            ));
        }
        warnings
    }

    /// The summary as one JSON object.
    pub fn json(&self) -> Value {
        let totals = self.totals;
        let nothing = DeliveryTotals::default();
        let delivered = self.delivered.unwrap_or(&nothing);
        let failed: Vec<Value> = totals
            .failed
            .iter()
            .map(|(name, why)| json!({ "pipeline": name, "why": why }))
            .collect();
        let notices: Vec<Value> = totals
            .notices
            .iter()
            .map(|(kind, (count, example))| json!({ "kind": kind, "count": count, "example": example }))
            .collect();
        let gone: Vec<Value> = totals
            .gone
            .iter()
            .map(|(name, runs)| json!({ "pipeline": name, "under_way": runs }))
            .collect();
        json!({
            "server": self.server,
            "server_id": self.server_id,
            "dialect": totals.dialect,
            "pipelines": totals.pipelines,
            "failed": totals.failed_count,
            "failed_pipelines": failed,
            "gone_pipelines": gone,
            "unfitted_patterns": totals.unfitted,
            "requests": totals.requests,
            "pages": totals.pages,
            "looked_at": totals.looked_at,
            "runs": totals.runs,
            "attempts": totals.attempts,
            "notifications": totals.notifications,
            "foreign_links": totals.foreign_links,
            "notices": notices,
            "refused": self.unrecorded.refused,
            "dropped": self.unrecorded.dropped,
            "reasons": self.unrecorded.reasons,
            "accepted": delivered.accepted,
            "rejected": delivered.rejected,
            "rejected_runs": delivered.refusals,
            "waiting": delivered.waiting,
            "why": delivered.why,
            "stopped": totals.stopped,
            "seconds": self.duration.as_secs_f64(),
        })
    }
}

/// `1 run`, `2 runs`
pub fn counted(number: u64, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

/// The number of pipelines that are named; the count is complete.
const MOST_NAMED: usize = 20;

/// The sum of rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Number of rounds that came to their end.
    pub rounds: u64,
    /// The dialect, as the flag calls it.
    pub dialect: Option<&'static str>,
    /// Pipelines that were chosen in the last round.
    pub pipelines: usize,
    /// Number of those that were left before their end.
    pub failed_count: usize,
    /// The first of these, with the reasons.
    pub failed: Vec<(String, String)>,
    /// Pipelines that are no longer listed, with their runs that had not ended.
    pub gone: Vec<(String, Vec<u64>)>,
    /// Patterns that matched no pipeline in the last round.
    pub unfitted: Vec<String>,
    pub requests: u64,
    pub pages: u64,
    pub looked_at: u64,
    pub runs: u64,
    pub attempts: u64,
    pub notifications: u64,
    pub foreign_links: u64,
    /// The count and the first example of each kind of notice.
    pub notices: BTreeMap<&'static str, (u64, String)>,
    /// True if the last round was stopped before its end.
    pub stopped: bool,
}

impl Totals {
    /// Adds a round.
    pub fn add(&mut self, round: &Round) {
        self.rounds += 1;
        self.dialect = Some(match round.dialect {
            pipefold_gocd::Dialect::Old => "old",
            pipefold_gocd::Dialect::New => "new",
        });
        self.pipelines = round.pipelines;
        self.failed_count = round.failed.len();
        let named = round.failed.iter().take(MOST_NAMED);
        self.failed = named.map(|(name, why)| (name.to_string(), why.to_string())).collect();
        let gone = round.gone.iter().take(MOST_NAMED.saturating_sub(self.gone.len()));
        self.gone
            .extend(gone.map(|gone| (gone.pipeline.to_string(), gone.under_way.clone())));
        self.unfitted.clone_from(&round.unfitted);
        self.requests += round.requests;
        self.pages += round.pages;
        self.looked_at += round.looked_at;
        self.runs += round.runs;
        self.attempts += round.attempts;
        self.notifications += round.notifications;
        self.foreign_links += round.foreign_links;
        for (kind, tally) in &round.notices {
            let known = self.notices.entry(kind).or_insert_with(|| (0, tally.example.clone()));
            known.0 += tally.count;
        }
        self.stopped |= round.stopped;
    }

    /// True if there was something to read, and none of it could be.
    pub fn is_nothing_read(&self) -> bool {
        self.pipelines > 0 && self.failed_count == self.pipelines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_first_then_notices_and_warnings() {
        let totals = Totals {
            pipelines: 3,
            runs: 1,
            attempts: 2,
            requests: 40,
            notices: [("approximate start", (4, "web/7: attempt 2 began\nsome time".to_owned()))].into(),
            stopped: true,
            ..Totals::default()
        };
        let delivered = DeliveryTotals {
            accepted: 1,
            waiting: 1,
            why: Some("DX did not answer".into()),
            ..DeliveryTotals::default()
        };
        let unrecorded = Unrecorded {
            refused: 2,
            reasons: vec!["gocd/ci/web/7: too long".into()],
            ..Unrecorded::default()
        };
        let summary = Summary {
            server: "https://ci.example.com/go".into(),
            server_id: "ci.example.com",
            totals: &totals,
            delivered: Some(&delivered),
            unrecorded: &unrecorded,
            spool: "/spool".into(),
            duration: Duration::from_millis(1500),
        };
        assert_eq!(
            summary.lines(),
            [
                "3 pipelines, 1 run with news, 2 attempts, 40 requests, 1 upsert accepted by DX in 1.5 s; stopped before the end, the next \
                 one continues there",
                r"4 × approximate start, such as web/7: attempt 2 began\nsome time",
                "warning: 2 notifications were refused",
                "warning: gocd/ci/web/7: too long",
                "warning: 1 run waits in /spool: DX did not answer (`pipefold flush` sends what waits)",
            ]
        );
        let json = summary.json();
        assert_eq!(
            (&json["accepted"], &json["waiting"], &json["refused"]),
            (&json!(1), &json!(1), &json!(2))
        );
        assert_eq!(json["notices"][0]["kind"], "approximate start");
    }
}
