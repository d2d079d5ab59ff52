// A policy in JavaScript: DX gets one pipeline where the CI system has one for each pull request, and steps under the names that people use.

import * as next from "pipefold:ci/hooks@0.2.0";

// From the CI system's names of steps to those of people.
const STEPS = { "helm-upgrade-prod": "deploy" };
// Steps that stay within the CI system.
const INTERNAL = ["warm-up-caches"];

// `build-PR-4711` is `build`.
const renamed = (said) => ({
    ...said,
    pipelineName: said.pipelineName?.replace(/-pr-\d+$/i, ""),
    step: STEPS[said.step] ?? said.step,
});
const isInternal = (said) => INTERNAL.includes(said.step);

// The next plugin in line sees what this one passes on. Its verdict goes back unchanged; so do its violations, which it throws.
//
// A step reaches DX through `step`, and through `pipelineFinish` as a part of the history: it is changed in both.
export const hooks = {
    pipelineStart: (event) => next.pipelineStart(renamed(event)),
    step: (event) => (isInternal(event) ? { tag: "discard", val: `${event.step} is internal` } : next.step(renamed(event))),
    pipelineFinish: (history) => next.pipelineFinish(history.filter((event) => !isInternal(event)).map(renamed)),
};
