// Notifications and answers: from JSON to what jco takes, and back.

// jco spells `pipeline-name` as `pipelineName`, and an s64 is a BigInt.
const toCamel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const toSnake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const each = (object, change) => Object.fromEntries(Object.entries(object).map(change));

export const toRecord = (notification) => ({
    allowedToFail: false,
    urgent: false,
    ...each(notification, ([name, value]) => [toCamel(name), name === "pr_number" ? BigInt(value) : value]),
    attributes: Object.entries(notification.attributes ?? {}).map(([key, value]) => ({ key, value })),
});
const fromRecord = (record) => each(record, ([name, value]) => [toSnake(name), typeof value === "bigint" ? Number(value) : value]);

// As JSON, attributes are an object, and none are left out.
export const fromReport = ({ run: { attributes, ...run }, jobs }) => ({
    run: {
        ...fromRecord(run),
        attributes: attributes.length ? Object.fromEntries(attributes.map(({ key, value }) => [key, value])) : undefined,
    },
    jobs: jobs.map(fromRecord),
});

export const fromVerdict = ({ tag, val }) => {
    switch (tag) {
        case "report":
            return { verdict: tag, ...fromReport(val) };
        case "discard":
            return { verdict: tag, reason: val };
        default:
            return { verdict: tag };
    }
};

export const fromViolations = (violations) => violations.map((one) => ({ ...one, fault: one.fault.replaceAll("-", "_") }));

// `JSON.stringify` leaves out what is undefined, as an absent option is.
const isObject = (value) => value && typeof value === "object" && !Array.isArray(value);
export const canonical = (value) =>
    JSON.stringify(value, (_, inner) => (isObject(inner) ? Object.fromEntries(Object.entries(inner).sort()) : inner));
