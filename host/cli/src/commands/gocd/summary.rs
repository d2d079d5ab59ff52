//! What came of it, for people and in JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::deliverer::Delivered;
use super::sink::Losses;
use super::totals::Totals;
use crate::terminal::{excerpt, human_duration, neutral};

/// The summary that is printed at the end.
pub(super) struct Summary<'a> {
    pub(super) server: String,
    pub(super) server_id: &'a str,
    pub(super) totals: &'a Totals,
    /// None in a rehearsal, which delivers nothing.
    pub(super) delivered: Option<&'a Delivered>,
    pub(super) losses: &'a Losses,
    /// The place where what waits is.
    pub(super) spool: String,
    pub(super) took: Duration,
}

impl Summary<'_> {
    /// One line of numbers, then one for each thing to know.
    pub(super) fn lines(&self) -> Vec<String> {
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
            human_duration(self.took),
            if totals.stopped {
                "; stopped before the end, the next one goes on there"
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
        lines.extend(self.troubles().iter().map(|trouble| format!("warning: {trouble}")));
        lines
    }

    /// Trouble on this side of the server, a line each.
    pub(super) fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        let losses = self.losses;
        if losses.refused > 0 {
            troubles.push(format!("{} notifications were refused", losses.refused));
        }
        troubles.extend(losses.reasons.iter().map(|reason| excerpt(reason)));
        let Some(delivered) = self.delivered else {
            return troubles;
        };
        troubles.extend(delivered.warnings.iter().map(|warning| excerpt(warning)));
        if delivered.rejected > 0 {
            troubles.push(format!(
                "{} runs were refused for good and are in rejected/",
                delivered.rejected
            ));
            troubles.extend(delivered.refusals.iter().map(|refusal| excerpt(refusal)));
        }
        if delivered.waiting > 0 {
            troubles.push(format!(
                "{} in {}: {} (`pipefold flush` sends what waits)",
                match delivered.waiting {
                    1 => "1 run waits".to_owned(),
                    many => format!("{many} runs wait"),
                },
                neutral(&self.spool),
                excerpt(delivered.why.as_deref().unwrap_or("DX does not have them"))
            ));
        }
        troubles
    }

    /// The same as one object.
    pub(super) fn json(&self) -> Value {
        let totals = self.totals;
        let nothing = Delivered::default();
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
            "refused": self.losses.refused,
            "dropped": self.losses.dropped,
            "reasons": self.losses.reasons,
            "accepted": delivered.accepted,
            "rejected": delivered.rejected,
            "rejected_runs": delivered.refusals,
            "waiting": delivered.waiting,
            "why": delivered.why,
            "stopped": totals.stopped,
            "seconds": self.took.as_secs_f64(),
        })
    }
}

/// `1 run`, `2 runs`
pub(super) fn counted(number: u64, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_first_then_what_is_to_be_known() {
        let totals = Totals {
            pipelines: 3,
            runs: 1,
            attempts: 2,
            requests: 40,
            notices: [("approximate start", (4, "web/7: attempt 2 began\nsome time".to_owned()))].into(),
            stopped: true,
            ..Totals::default()
        };
        let delivered = Delivered {
            accepted: 1,
            waiting: 1,
            why: Some("DX did not answer".into()),
            ..Delivered::default()
        };
        let losses = Losses {
            refused: 2,
            reasons: vec!["gocd/ci/web/7: too long".into()],
            ..Losses::default()
        };
        let summary = Summary {
            server: "https://ci.example.com/go".into(),
            server_id: "ci.example.com",
            totals: &totals,
            delivered: Some(&delivered),
            losses: &losses,
            spool: "/spool".into(),
            took: Duration::from_millis(1500),
        };
        assert_eq!(
            summary.lines(),
            [
                "3 pipelines, 1 run with news, 2 attempts, 40 requests, 1 upsert accepted by DX in 1.5 s; stopped before the end, the next \
                 one goes on there",
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
