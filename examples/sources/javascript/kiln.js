// A source in JavaScript: the deliveries of Kiln, a CI system that is made up.

// DX's words for Kiln's results. What is not known yet, or not known to this source, has none.
const STATUS = { passed: "success", failed: "failure", stopped: "cancelled", running: "running" };

// A value of the body, or undefined if it is missing or null. One of another type cannot become a notification, and would end the call.
function value(object, field, type) {
    const found = object[field] ?? undefined;
    if (found !== undefined && (typeof found !== type || (type === "number" && !Number.isSafeInteger(found)))) {
        throw new Error(`${field} is no ${type}`);
    }
    return found;
}

function required(object, field, type) {
    const found = value(object, field, type);
    if (found === undefined) {
        throw new Error(`${field} is missing`);
    }
    return found;
}

// The error of the engine may quote what is in the body, and an answer has one short line without control characters.
function parsed(body) {
    try {
        return JSON.parse(body);
    } catch {
        throw new Error("it is no JSON");
    }
}

// One notification of the run, and one of each step. A field that is left out is absent.
function notifications(build) {
    const run = {
        pipelineName: required(build, "pipeline", "string"),
        pipelineSource: "Kiln",
        referenceId: `kiln/${required(build, "repository", "string")}/${required(build, "id", "number")}`,
        allowedToFail: false,
        urgent: false,
        attributes: [],
    };
    const whole = {
        ...run,
        startedAt: required(build, "started", "string"),
        finishedAt: value(build, "ended", "string"),
        status: STATUS[build.result],
        repository: build.repository,
        commitSha: value(build, "commit", "string"),
        prNumber: value(build, "pull_request", "number"),
        sourceUrl: required(build, "url", "string"),
        headBranch: value(build, "branch", "string"),
        email: value(build, "person", "string"),
    };
    const steps = (build.steps ?? []).map((step) => ({
        ...run,
        step: required(step, "name", "string"),
        startedAt: value(step, "started", "string"),
        finishedAt: value(step, "ended", "string"),
        status: STATUS[step.result],
    }));
    return [whole, ...steps];
}

// What is thrown is the error of the delivery: a text.
export const translating = {
    translate({ headers, body, settings }) {
        const event = headers.find(({ name }) => name === "x-kiln-event")?.value;
        if (event === undefined) {
            throw "the header X-Kiln-Event is missing";
        }
        if (!event.startsWith("build.")) {
            return { tag: "ignored", val: "the event is about no build" };
        }
        try {
            const { build } = parsed(body);
            const only = settings.find(({ name }) => name === "only")?.value ?? "";
            if (!required(build, "repository", "string").startsWith(only)) {
                return { tag: "ignored", val: `its repository is not below ${only}` };
            }
            return { tag: "notifications", val: notifications(build) };
        } catch (why) {
            throw `the body is no event of Kiln: ${why.message}`;
        }
    },
};
