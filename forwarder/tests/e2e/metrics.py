#!/usr/bin/env python3
"""What another implementation reads in metrics: metrics.py < METRICS

A line for each sample: its name, its labels in the order of their names, its value. It ends with an error if that
parser (the package python3-prometheus-client) does not take the text, if a family comes twice or is not explained,
or if two samples have the same name and labels.
"""
import sys

from prometheus_client.parser import text_string_to_metric_families


def main():
    families, series = set(), set()
    for family in text_string_to_metric_families(sys.stdin.read()):
        assert family.name not in families, f"twice: {family.name}"
        families.add(family.name)
        assert family.documentation and family.type in ("counter", "gauge"), f"not explained: {family}"
        for sample in family.samples:
            labels = " ".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            key = f"{sample.name} {labels}"
            assert key not in series, f"twice: {key}"
            series.add(key)
            print(key, f"{sample.value:.9g}")


main()
