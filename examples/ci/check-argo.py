"""Checks workflows by the types that Argo's own API description generates: check-argo.py FILE..."""

import sys

import ruamel.yaml
from hera.workflows import models


def unknown(given, known, place):
    """The places of fields that the types do not have: they read them without a word."""
    if isinstance(given, dict) and isinstance(known, dict):
        for name, value in given.items():
            if name not in known:
                yield f"{place}.{name}"
            else:
                yield from unknown(value, known[name], f"{place}.{name}")
    elif isinstance(given, list) and isinstance(known, list):
        for number, (value, other) in enumerate(zip(given, known)):
            yield from unknown(value, other, f"{place}[{number}]")


for file in sys.argv[1:]:
    with open(file, encoding="utf-8") as text:
        given = ruamel.yaml.YAML(typ="safe", pure=True).load(text)
    read = getattr(models, given["kind"]).model_validate(given)
    strangers = list(unknown(given, read.model_dump(by_alias=True, exclude_none=True, mode="json"), "$"))
    if strangers:
        sys.exit(f"{file}: unknown fields {', '.join(strangers)}")
