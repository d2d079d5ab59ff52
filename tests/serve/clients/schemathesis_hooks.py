"""For JSON Schema 1.0 is the whole number 1. The server takes a whole number where text belongs, and refuses 1.0 there: as text it would be
another, `1`. No schema can say so, and such bodies are left out."""

import schemathesis


@schemathesis.hook
def filter_body(context, body):
    return not (isinstance(body, dict) and any(isinstance(value, float) and value.is_integer() for value in body.values()))


# Jobs are taken of a run that exists, which no schema can say: those with good names are of the test's.
RUN = {"pipeline_source": "Tekton", "run_reference_id": "AA713E04-1880-4E17-8C49-4A41733DAFCF"}


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, dict) and "run_reference_id" in body:
        for name, known in RUN.items():
            value = body.get(name)
            if isinstance(value, str) and len(value) <= 4096 and value.isprintable() and any("!" <= c <= "~" for c in value):
                body[name] = known
    return body
