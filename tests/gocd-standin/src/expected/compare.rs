//! The comparison of records and jobs with expected ones.

use std::collections::BTreeMap;

use serde_json::Value;

use super::jobs::{ExpectedJob, ExpectedStage};
use super::record::Expected;

impl Expected {
    /// The differences between the records and the expected ones, one line for each. Records are DX's fields by their names.
    #[must_use]
    pub fn differences(expected: &[Self], records: &BTreeMap<String, Value>) -> Vec<String> {
        let mut found = Vec::new();
        let mut rest: BTreeMap<&str, &Value> = records.iter().map(|(id, record)| (id.as_str(), record)).collect();
        for one in expected {
            match rest.remove(one.reference_id.as_str()) {
                Some(record) => found.extend(one.compare(record)),
                None if one.may_be_absent => {}
                None => found.push(format!("{}: is not there", one.reference_id)),
            }
        }
        found.extend(rest.keys().map(|id| format!("{id}: there is no such run")));
        found
    }

    /// The differences between the jobs and the expected ones, one line for each. Jobs are DX's fields by their names, by the name of their run.
    #[must_use]
    pub fn job_differences(expected: &[Self], jobs: &BTreeMap<String, Vec<Value>>) -> Vec<String> {
        let mut found = Vec::new();
        for (run, jobs) in jobs {
            if !jobs.is_empty() && !expected.iter().any(|one| one.reference_id == *run) {
                found.push(format!("{run}: there is no such run, but jobs of it"));
            }
        }
        for one in expected {
            let jobs = jobs.get(&one.reference_id).map_or(&[][..], Vec::as_slice);
            if jobs.is_empty() && one.may_be_absent {
                continue;
            }
            let lines = one.compare_jobs(jobs);
            found.extend(lines.into_iter().map(|line| format!("{}: {line}", one.reference_id)));
        }
        found
    }

    fn compare_jobs(&self, jobs: &[Value]) -> Vec<String> {
        let mut rest: BTreeMap<&str, &Value> = BTreeMap::new();
        let mut found = Vec::new();
        for job in jobs {
            let id = job["reference_id"].as_str().unwrap_or_default();
            if rest.insert(id, job).is_some() {
                found.push(format!("job {id} is there twice"));
            }
        }
        for stage in &self.stages {
            let is_of = |id: &str| id == stage.name || id.split_once('/').is_some_and(|(name, _)| name == stage.name);
            let own: BTreeMap<&str, &Value> = rest.extract_if(.., |id, _| is_of(id)).collect();
            found.extend(stage.compare(&own));
        }
        found.extend(rest.keys().map(|id| format!("there is no job {id}")));
        found
    }

    fn compare(&self, record: &Value) -> Vec<String> {
        let text = |name: &str| record[name].as_str();
        let mut found = Vec::new();
        let mut check = |name: &str, is_right: bool, right: &dyn std::fmt::Debug, is: &dyn std::fmt::Debug| {
            if !is_right {
                found.push(format!("{}: {name} is {is:?}, not {right:?}", self.reference_id));
            }
        };
        let name = text("pipeline_name");
        check(
            "pipeline_name",
            name == Some(&self.pipeline_name),
            &self.pipeline_name,
            &name,
        );
        let source = text("pipeline_source");
        check("pipeline_source", source == Some("GoCD"), &"GoCD", &source);
        let started = text("started_at");
        let is_right = self.started_at.iter().any(|time| started == Some(time));
        check("started_at", is_right, &self.started_at, &started);
        let outcome = (text("status").unwrap_or_default(), text("finished_at"));
        let is_right = self
            .outcomes
            .iter()
            .any(|(status, end)| outcome == (*status, end.as_deref()));
        check("status and finished_at", is_right, &self.outcomes, &outcome);
        let repository = text("repository");
        check(
            "repository",
            repository == self.repository,
            &self.repository,
            &repository,
        );
        let commit = text("commit_sha");
        let is_right = self.commit_sha.iter().any(|right| commit == right.as_deref());
        check("commit_sha", is_right, &self.commit_sha, &commit);
        let branch = text("head_branch");
        check("head_branch", branch == self.head_branch, &self.head_branch, &branch);
        let number = record["pr_number"].as_i64();
        check("pr_number", number == self.pr_number, &self.pr_number, &number);
        let person = (text("email"), text("github_username"));
        check(
            "email and github_username",
            self.people.contains(&person),
            &self.people,
            &person,
        );
        let url = text("source_url");
        check("source_url", url == Some(&self.source_url), &self.source_url, &url);
        found
    }
}

impl ExpectedStage {
    /// The differences from the form that is nearest.
    fn compare(&self, jobs: &BTreeMap<&str, &Value>) -> Vec<String> {
        let compared = self.forms.iter().map(|form| compare_form(form, jobs));
        compared.min_by_key(Vec::len).unwrap_or_default()
    }
}

fn compare_form(form: &[ExpectedJob], jobs: &BTreeMap<&str, &Value>) -> Vec<String> {
    let mut rest = jobs.clone();
    let mut found = Vec::new();
    for one in form {
        match rest.remove(one.name.as_str()) {
            Some(job) => found.extend(one.compare(job)),
            None if one.may_be_absent => {}
            None => found.push(format!("job {} is not there", one.name)),
        }
    }
    found.extend(rest.keys().map(|id| format!("there is no job {id}")));
    found
}

impl ExpectedJob {
    fn compare(&self, job: &Value) -> Vec<String> {
        let text = |field: &str| job[field].as_str();
        let mut found = Vec::new();
        let mut check = |field: &str, is_right: bool, right: &dyn std::fmt::Debug, is: &dyn std::fmt::Debug| {
            if !is_right {
                found.push(format!("job {}: {field} is {is:?}, not {right:?}", self.name));
            }
        };
        let name = text("name");
        check("name", name == Some(&self.name), &self.name, &name);
        let started = text("started_at");
        let is_right = self.started_at.iter().any(|time| started == time.as_deref());
        check("started_at", is_right, &self.started_at, &started);
        let outcome = (text("status").unwrap_or_default(), text("finished_at"));
        let is_right = self
            .outcomes
            .iter()
            .any(|(status, end)| outcome == (*status, end.as_deref()));
        check("status and finished_at", is_right, &self.outcomes, &outcome);
        found
    }
}
