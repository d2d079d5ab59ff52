//! Azure Pipelines.

use crate::support::{RECEIVED_AT, Sample, fields, notifications, published, reason, translated};
use pipefold_sources::{Delivery, Setting, Translation, translate};

/// In a job of this run: `SYSTEM_COLLECTIONURI=https://dev.azure.com/acme/ SYSTEM_TEAMPROJECT=My Project BUILD_BUILDID=5678
/// BUILD_DEFINITIONNAME=app-ci SYSTEM_STAGENAME=__default SYSTEM_STAGEATTEMPT=1 BUILD_REASON=IndividualCI BUILD_REPOSITORY_PROVIDER=TfsGit
/// BUILD_REPOSITORY_URI=https://acme@dev.azure.com/acme/My%20Project/_git/app BUILD_SOURCEBRANCH=refs/heads/main
/// BUILD_SOURCEVERSION=0d5f3e… BUILD_REQUESTEDFOREMAIL=panda@example.com`.
const COMPLETE: &str = r#"{
    "subscriptionId": "aa3b7c00-0000-4000-8000-000000000001", "notificationId": 12, "id": "aa3b7c00-0000-4000-8000-000000000002",
    "eventType": "build.complete", "publisherId": "tfs",
    "message": {"text": "Build 20260102.3 succeeded"},
    "resource": {
        "_links": {"web": {"href": "https://dev.azure.com/acme/c0ffee00-0000-4000-8000-000000000000/_build/results?buildId=5678"}},
        "triggerInfo": {"ci.sourceBranch": "refs/heads/main", "ci.sourceSha": "0d5f3e6f9b8c7a6d5e4f3c2b1a0998877665544a"},
        "id": 5678, "buildNumber": "20260102.3", "status": "completed", "result": "partiallySucceeded",
        "queueTime": "2026-01-02T10:00:00.7367977Z", "startTime": "2026-01-02T10:00:12.62Z", "finishTime": "2026-01-02T10:03:08.520904Z",
        "url": "https://dev.azure.com/acme/c0ffee00-0000-4000-8000-000000000000/_apis/build/Builds/5678",
        "definition": {"id": 46, "name": "app-ci", "project": {"id": "c0ffee00-0000-4000-8000-000000000000", "name": "My Project"}},
        "project": {"id": "c0ffee00-0000-4000-8000-000000000000", "name": "My Project"},
        "sourceBranch": "refs/heads/main", "sourceVersion": "0d5f3e6f9b8c7a6d5e4f3c2b1a0998877665544a", "reason": "individualCI",
        "requestedFor": {"displayName": "Red Panda", "uniqueName": "panda@example.com"},
        "requestedBy": {"displayName": "Microsoft.VisualStudio.Services.TFS", "uniqueName": "x"},
        "repository": {"id": "d3d3", "type": "TfsGit", "name": "app", "url": "https://acme@dev.azure.com/acme/My%20Project/_git/app"}
    },
    "resourceVersion": "2.0",
    "resourceContainers": {
        "collection": {"id": "b1b1", "baseUrl": "https://dev.azure.com/acme/"},
        "account": {"id": "bbbb", "baseUrl": "https://dev.azure.com/acme/"},
        "project": {"id": "c0ffee00-0000-4000-8000-000000000000", "baseUrl": "https://dev.azure.com/acme/"}
    },
    "createdDate": "2026-01-02T10:03:13.8866607Z"
}"#;

#[test]
fn a_build_is_that_of_its_jobs() {
    Sample {
        system: "azure",
        headers: &[],
        body: COMPLETE,
        expected: &[&[
            ("pipeline_name", "app-ci"),
            ("pipeline_source", "Azure Pipelines"),
            ("reference_id", "azure/dev.azure.com/acme/My Project/5678/1"),
            ("started_at", "2026-01-02T10:00:12.620Z"),
            ("finished_at", "2026-01-02T10:03:08.520904Z"),
            ("status", "success"),
            ("repository", "My Project/app"),
            ("commit_sha", "0d5f3e6f9b8c7a6d5e4f3c2b1a0998877665544a"),
            (
                "source_url",
                "https://dev.azure.com/acme/My%20Project/_build/results?buildId=5678",
            ),
            ("head_branch", "main"),
            ("email", "panda@example.com"),
        ]],
        names: &[
            "/resource/id",
            "/resource/project/name",
            "/resource/definition/name",
            "/resourceContainers/collection/baseUrl",
        ],
    }
    .check();
}

/// In a job of this run: `BUILD_REASON=PullRequest BUILD_REPOSITORY_PROVIDER=GitHub BUILD_REPOSITORY_URI=https://github.com/org/app
/// BUILD_SOURCEBRANCH=refs/pull/8/merge SYSTEM_PULLREQUEST_PULLREQUESTNUMBER=8 SYSTEM_PULLREQUEST_SOURCEBRANCH=patch-1
/// SYSTEM_PULLREQUEST_SOURCECOMMITID=9b9f1d…`.
#[test]
fn a_build_of_a_pull_request_has_its_head() {
    let trigger = r#""triggerInfo": {"pr.sourceBranch": "patch-1", "pr.sourceSha": "9B9F1D0F9E8F2F1C0A1B2C3D4E5F60718293A4B5", "pr.id": "1234567890",
        "pr.number": "8", "pr.isFork": "True"}"#;
    let body = COMPLETE
        .replace(
            r#""triggerInfo": {"ci.sourceBranch": "refs/heads/main", "ci.sourceSha": "0d5f3e6f9b8c7a6d5e4f3c2b1a0998877665544a"}"#,
            trigger,
        )
        .replace(r#""sourceBranch": "refs/heads/main", "#, r#""sourceBranch": "refs/pull/8/merge", "#)
        .replace("individualCI", "pullRequest")
        .replace(
            r#"{"id": "d3d3", "type": "TfsGit", "name": "app", "url": "https://acme@dev.azure.com/acme/My%20Project/_git/app"}"#,
            r#"{"id": "org/app", "type": "GitHub", "clean": null}"#,
        );
    let run = &notifications("azure", &[], &body)[0];
    for (name, value) in [
        ("repository", "org/app"),
        ("commit_sha", "9b9f1d0f9e8f2f1c0a1b2c3d4e5f60718293a4b5"),
        ("pr_number", "8"),
        ("head_branch", "patch-1"),
    ] {
        assert!(run.contains(&(name, value.to_owned())), "{name}: {run:?}");
    }
    // In Azure Repos the ref alone names it. The merge is on no branch.
    let body = COMPLETE.replace(
        r#""sourceBranch": "refs/heads/main", "#,
        r#""sourceBranch": "refs/pull/7/merge", "#,
    );
    let run = &notifications("azure", &[], &body)[0];
    assert!(run.contains(&("pr_number", "7".to_owned())), "{run:?}");
    assert!(
        run.iter()
            .all(|field| field.0 != "commit_sha" && field.0 != "head_branch")
    );
}

#[test]
fn results_are_statuses() {
    for (result, status) in [
        ("succeeded", Some("success")),
        ("failed", Some("failure")),
        ("canceled", Some("cancelled")),
        ("none", None),
    ] {
        let body = COMPLETE.replace("partiallySucceeded", result);
        let run = &notifications("azure", &[], &body)[0];
        let given = run
            .iter()
            .find(|field| field.0 == "status")
            .map(|field| field.1.as_str());
        assert_eq!(given, status, "{result}");
    }
    // A build that was cancelled in the queue.
    let body = COMPLETE.replace(r#""startTime": "2026-01-02T10:00:12.62Z", "#, "");
    let run = &notifications("azure", &[], &body)[0];
    assert!(
        run.contains(&("started_at", "2026-01-02T10:00:00.736797700Z".to_owned())),
        "{run:?}"
    );
}

#[test]
fn a_service_is_no_person() {
    let service = "00000002-0000-8888-8000-000000000000@2c895908-04e0-4952-89fd-54b0046d6288";
    let body = COMPLETE.replace(
        r#""uniqueName": "panda@example.com""#,
        &format!(r#""uniqueName": "{service}""#),
    );
    assert!(
        notifications("azure", &[], &body)[0]
            .iter()
            .all(|field| field.0 != "email")
    );
}

/// The first version of the event, as it is sent unless another is chosen: the server's own names alone.
const FIRST: &str = r#"{
    "id": "aa3b7c00-0000-4000-8000-000000000003", "eventType": "build.complete", "publisherId": "tfs", "scope": "all",
    "resource": {
        "uri": "vstfs:///Build/Build/2", "id": 2, "buildNumber": "app_20260102.1",
        "url": "https://tfs.example.com/tfs/Main/c0ffee00-0000-4000-8000-000000000000/_apis/build/Builds/2",
        "startTime": "2026-01-02T18:04:06.83Z", "finishTime": "2026-01-02T18:06:10.69Z", "reason": "manual", "status": "stopped",
        "sourceGetVersion": "LG:refs/heads/release/2:600c52d2d5b655caa111abfd863e5a9bd304bb0f",
        "definition": {"definitionType": "xaml", "id": 2, "name": "app"},
        "requests": [{"id": 1, "requestedFor": {"displayName": "Red Panda", "uniqueName": "panda@example.com"}}]
    },
    "resourceVersion": "1.0",
    "resourceContainers": {"collection": {"id": "c1"}, "account": {"id": "f8"}, "project": {"id": "c0ffee00-0000-4000-8000-000000000000"}},
    "createdDate": "2026-01-02T18:06:12.42Z"
}"#;

#[test]
fn the_first_version_of_the_event_is_read() {
    Sample {
        system: "azure",
        headers: &[],
        body: FIRST,
        expected: &[&[
            ("pipeline_name", "app"),
            ("pipeline_source", "Azure Pipelines"),
            (
                "reference_id",
                "azure/tfs.example.com/tfs/Main/c0ffee00-0000-4000-8000-000000000000/2/1",
            ),
            ("started_at", "2026-01-02T18:04:06.830Z"),
            ("finished_at", "2026-01-02T18:06:10.690Z"),
            ("status", "cancelled"),
            (
                "source_url",
                "https://tfs.example.com/tfs/Main/c0ffee00-0000-4000-8000-000000000000/_build/results?buildId=2",
            ),
            ("head_branch", "release/2"),
            ("email", "panda@example.com"),
        ]],
        names: &["/resource/id", "/resource/definition/name"],
    }
    .check();
}

#[test]
fn the_default_collection_is_an_alias_in_azure_s_own_domains() {
    let at = "tfs.example.com/tfs/Main";
    for (address, server) in [
        (
            "tfs.example.com/tfs/DefaultCollection",
            "tfs.example.com/tfs/DefaultCollection",
        ),
        ("dev.azure.com/acme/DefaultCollection", "dev.azure.com/acme"),
        ("acme.visualstudio.com/DefaultCollection", "acme.visualstudio.com"),
        ("acme.visualstudio.com", "acme.visualstudio.com"),
        // The oldest servers leave the project out.
        ("tfs.example.com/tfs/Main/x", "tfs.example.com/tfs/Main/x"),
    ] {
        let mut body = FIRST.replace(at, address);
        if address.ends_with("/x") {
            body = body.replace("/x/c0ffee00-0000-4000-8000-000000000000/_apis", "/x/_apis");
        }
        let run = &notifications("azure", &[], &body)[0];
        let reference = format!("azure/{server}/c0ffee00-0000-4000-8000-000000000000/2/1");
        assert!(run.contains(&("reference_id", reference)), "{run:?}");
    }
}

const JOB: &str = r#"{
    "eventType": "ms.vss-pipelines.job-state-changed-event", "publisherId": "pipelines",
    "resource": {
        "job": {
            "_links": {"web": {"href": "https://dev.azure.com/acme/c0ffee00-0000-4000-8000-000000000000/_build/results?buildId=5678"}},
            "id": "d3d3", "name": "Compile", "state": "completed", "result": "failed",
            "startTime": "2026-01-02T16:42:52.77Z", "finishTime": "2026-01-02T16:43:52Z"
        },
        "stage": {"id": "e4e4", "name": "Build", "displayName": null, "state": "running", "result": null, "startTime": null},
        "run": {
            "pipeline": {"id": 46, "name": "app-ci", "folder": "\\"}, "state": "inProgress", "createdDate": "2026-01-02T16:42:00Z",
            "id": 5678, "name": "20260102.3"
        },
        "pipeline": {"id": 46, "name": "app-ci"},
        "repositories": [{"type": "GitHub", "change": {"message": "x"}, "url": "https://api.github.com/repos/org/app"}]
    },
    "resourceVersion": "5.1-preview.1",
    "resourceContainers": {"collection": {"id": "b1"}, "account": {"id": "bb"}, "project": {"id": "c0ffee00-0000-4000-8000-000000000000"}},
    "createdDate": "2026-01-02T16:43:53Z"
}"#;

/// The fields of the notifications, with the setting `project`.
fn of_project(body: &str) -> Vec<Vec<(&'static str, String)>> {
    let setting = |name: &str, value: &str| Setting {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let delivery = Delivery {
        headers: Vec::new(),
        body: body.to_owned(),
        received_at: RECEIVED_AT.to_owned(),
        settings: vec![setting("use", "azure"), setting("project", "My Project")],
    };
    match translate(&delivery) {
        Ok(Translation::Notifications(given)) => given.iter().map(fields).collect(),
        other => panic!("{other:?}"),
    }
}

/// The event of a job with the project's name, which its address has: so each of its fields is changed too.
#[test]
fn a_job_whose_event_names_the_project() {
    let named = r#"{
        "eventType": "ms.vss-pipelines.job-state-changed-event",
        "resource": {
            "job": {"_links": {"web": {"href": "https://dev.azure.com/acme/shop/_build/results?buildId=5678"}}, "name": "Compile",
                "state": "completed", "result": "succeeded", "startTime": "2026-01-02T16:42:52Z", "finishTime": "2026-01-02T16:43:52Z"},
            "stage": {"name": "Build", "displayName": null, "state": "running"},
            "run": {"pipeline": {"id": 46, "name": "app-ci"}, "state": "inProgress", "createdDate": "2026-01-02T16:42:00Z", "id": 5678},
            "project": {"id": "c0ffee00-0000-4000-8000-000000000000", "name": "shop"}
        },
        "resourceVersion": "5.1-preview.1"
    }"#;
    Sample {
        system: "azure",
        headers: &[],
        body: named,
        expected: &[&[
            ("pipeline_name", "app-ci"),
            ("pipeline_source", "Azure Pipelines"),
            ("reference_id", "azure/dev.azure.com/acme/shop/5678/1"),
            ("started_at", "2026-01-02T16:42:52Z"),
            ("finished_at", "2026-01-02T16:43:52Z"),
            ("status", "success"),
            (
                "source_url",
                "https://dev.azure.com/acme/shop/_build/results?buildId=5678",
            ),
            ("step", "Compile"),
            ("step_id", "Build/Compile"),
        ]],
        names: &[
            "/resource/run/id",
            "/resource/run/pipeline/name",
            "/resource/project/name",
        ],
    }
    .check();
}

#[test]
fn jobs_are_steps_of_the_build() {
    let named = [
        ("pipeline_name", "app-ci"),
        ("pipeline_source", "Azure Pipelines"),
        ("reference_id", "azure/dev.azure.com/acme/My Project/5678/1"),
    ];
    let page = "https://dev.azure.com/acme/My%20Project/_build/results?buildId=5678";
    let expect = |rest: &[(&'static str, &str)]| {
        let all = named.iter().chain(rest);
        vec![
            all.map(|(name, value)| (*name, (*value).to_owned()))
                .collect::<Vec<_>>(),
        ]
    };
    let of_job = expect(&[
        ("started_at", "2026-01-02T16:42:52.770Z"),
        ("finished_at", "2026-01-02T16:43:52Z"),
        ("status", "failure"),
        ("repository", "org/app"),
        ("source_url", page),
        ("step", "Compile"),
        ("step_id", "Build/Compile"),
    ]);
    assert_eq!(of_project(JOB), of_job);
    let only = JOB
        .replace(r#""name": "Build""#, r#""name": "__default""#)
        .replace("Compile", "__default");
    let only = &of_project(&only)[0];
    assert_eq!(only.last(), Some(&("step", "Job".to_owned())));

    let stage = JOB.replace("job-state", "stage-state");
    let of_stage = expect(&[
        ("status", "running"),
        ("repository", "org/app"),
        ("source_url", page),
        ("step", "Build"),
        ("step_id", "Build"),
    ]);
    assert_eq!(of_project(&stage), of_stage);

    let run = JOB.replace("job-state", "run-state");
    let of_run = expect(&[
        ("started_at", "2026-01-02T16:42:00Z"),
        ("status", "running"),
        ("repository", "org/app"),
        ("source_url", page),
    ]);
    assert_eq!(of_project(&run), of_run);
    let numbered = run.replace("\"id\": 5678, ", "");
    assert_eq!(of_project(&numbered), of_run, "by its page");
}

#[test]
fn other_events_are_ignored() {
    assert_eq!(
        reason("azure", &[], JOB),
        "it does not name its project: give the setting `project`, or send the event Build completed"
    );
    for (event, why) in [
        ("git.push", "the event `git.push` is about no run"),
        (
            "ms.vss-release.deployment-completed-event",
            "the event `ms.vss-release.deployment-completed-event` is about no run",
        ),
    ] {
        assert_eq!(reason("azure", &[], &COMPLETE.replace("build.complete", event)), why);
    }
}

#[test]
fn an_error_names_the_field() {
    for (field, without) in [
        ("eventType", COMPLETE.replace("eventType", "x")),
        ("resource", COMPLETE.replace("\"resource\"", "\"x\"")),
        ("resource.id", COMPLETE.replace("\"id\": 5678", "\"x\": 1")),
        (
            "resource.project.name",
            COMPLETE.replace("\"name\": \"My Project\"", "\"x\": 1"),
        ),
        (
            "resource.definition.name",
            COMPLETE.replace("\"name\": \"app-ci\"", "\"x\": 1"),
        ),
        (
            "resource.startTime",
            COMPLETE.replace("startTime", "x").replace("queueTime", "y"),
        ),
    ] {
        let fault = translated("azure", &[], &without).unwrap_err();
        assert_eq!(fault, format!("{field} is missing or of another type"));
    }
}

#[test]
fn the_published_sample() {
    let Some(body) = published("the_published_sample", "azure-devops/build.complete.json") else {
        return;
    };
    let expected = [
        ("pipeline_name", "ConsumerAddressModule"),
        ("pipeline_source", "Azure Pipelines"),
        (
            "reference_id",
            "azure/dev.azure.com/fabrikam-fiber-inc/71777fbc-1cf2-4bd1-9540-128c1c71f766/2/1",
        ),
        ("started_at", "2015-04-07T18:04:06.830Z"),
        ("finished_at", "2015-04-07T18:06:10.690Z"),
        ("status", "success"),
        (
            "source_url",
            "https://dev.azure.com/fabrikam-fiber-inc/71777fbc-1cf2-4bd1-9540-128c1c71f766/_build/results?buildId=2",
        ),
        ("head_branch", "master"),
        ("email", "fabrikamfiber16@hotmail.com"),
    ];
    let expected = expected.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(notifications("azure", &[], &body), [expected]);
}
