// A source in JavaScript: the deliveries of Kiln, a CI system that is made up.

// DX's words for Kiln's results. What is not known yet, or not known to this source, has none.
const STATUS = { passed: "success", failed: "failure", stopped: "cancelled", running: "running" };

// One notification of the run, and one of each step. What is not given is absent.
function notifications(build) {
    const run = {
        pipelineName: build.pipeline,
        pipelineSource: "Kiln",
        referenceId: `kiln/${build.repository}/${build.id}`,
        allowedToFail: false,
        urgent: false,
        attributes: [],
    };
    const times = ({ started, ended, result }) => ({
        startedAt: started ?? undefined,
        finishedAt: ended ?? undefined,
        status: STATUS[result],
    });
    const whole = {
        ...run,
        ...times(build),
        repository: build.repository,
        commitSha: build.commit ?? undefined,
        prNumber: build.pull_request == null ? undefined : BigInt(build.pull_request),
        sourceUrl: build.url,
        headBranch: build.branch ?? undefined,
        email: build.person ?? undefined,
    };
    return [whole, ...(build.steps ?? []).map((step) => ({ ...run, ...times(step), step: step.name }))];
}

function body(text) {
    try {
        const { build } = JSON.parse(text);
        for (const field of ["id", "url", "pipeline", "repository", "started"]) {
            if (build[field] == null) {
                throw new Error(`${field} is missing`);
            }
        }
        return build;
    } catch (why) {
        throw `the body is no event of Kiln: ${why.message}`;
    }
}

export const translating = {
    translate({ headers, body: text, settings }) {
        const event = headers.find(({ name }) => name === "x-kiln-event")?.value;
        if (event === undefined) {
            throw "the header X-Kiln-Event is missing";
        }
        if (!event.startsWith("build.")) {
            return { tag: "ignored", val: `${event} is about no build` };
        }
        const build = body(text);
        const only = settings.find(({ name }) => name === "only")?.value ?? "";
        if (!build.repository.startsWith(only)) {
            return { tag: "ignored", val: `${build.repository} is not below ${only}` };
        }
        return { tag: "notifications", val: notifications(build) };
    },
};
