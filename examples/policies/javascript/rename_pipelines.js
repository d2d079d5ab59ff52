// A policy in JavaScript: DX gets one pipeline where the CI system has one for each pull request.

import * as next from "pipefold:ci/hooks@0.2.0";

// `build-PR-4711` is `build`.
const renamed = (said) => ({ ...said, pipelineName: said.pipelineName?.replace(/-pr-\d+$/i, "") });

// The next plugin in line sees what this one passes on. Its verdict goes back unchanged; so do its violations, which it throws.
export const hooks = {
    pipelineStart: (event) => next.pipelineStart(renamed(event)),
    step: (event) => next.step(renamed(event)),
    pipelineFinish: (history) => next.pipelineFinish(history.map(renamed)),
};
