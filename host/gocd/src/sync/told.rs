//! What is new of a run.

use super::hash::hash;
use super::sink::News;
use crate::mapping::Attempt;

/// What was not told of these attempts, and the short names of all that is told once that is.
pub(super) fn news(attempts: Vec<Attempt>, told: &[u64]) -> (Vec<News>, Vec<u64>) {
    let mut names = told.to_vec();
    let mut news = Vec::new();
    for attempt in attempts {
        let Attempt {
            number,
            reference_id,
            start,
            steps,
            finish,
        } = attempt;
        // The same words at another hook are another notification.
        let mut is_new = |hook: &str, notification: &_| {
            let name = hash(&(hook, notification));
            let is_new = !names.contains(&name);
            if is_new {
                names.push(name);
            }
            is_new
        };
        // An end says all that the start does.
        let start = finish.is_none().then_some(start).filter(|start| is_new("start", start));
        let steps: Vec<_> = steps.into_iter().filter(|step| is_new("step", step)).collect();
        let finish = finish.filter(|finish| is_new("finish", finish));
        if start.is_some() || !steps.is_empty() || finish.is_some() {
            news.push(News {
                number,
                reference_id,
                start,
                steps,
                finish,
            });
        }
    }
    (news, names)
}
