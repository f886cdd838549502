# SPDX-License-Identifier: GPL-2.0
"""A conformance report as KTAP, as JUnit XML and as an HTML page."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable
from xml.etree import ElementTree

from .conformance import FAILED, PASSED, SKIPPED, Check, Report

_STYLE = """\
body { font-family: sans-serif; max-width: 75em; margin: 1em auto; padding: 0 1em }
table { border-collapse: collapse; width: 100% } td, th { border: 1px solid #bbb; padding: .3em .5em; text-align: left; vertical-align: top }
tr.bad { background: #fdd } tr.known { background: #ffc } pre { margin: .3em 0; white-space: pre-wrap } blockquote { margin: .3em 0 }
"""


def _programs(report: Report) -> Iterable[tuple[str, list[Check]]]:
    """The checks by program; those that were left out come last."""
    return ((program or "left out", list(checks)) for program, checks in itertools.groupby(report.checks, lambda c: c.program))


def _line(report: Report, number: int, check: Check) -> list[str]:
    """A check in KTAP: expected failures are XFAIL, what was left out is skipped."""
    surprise = report.surprise(check)
    if check.result == FAILED and not surprise:
        lines = [f"ok {number} {check.name} # XFAIL {check.rule}".rstrip()]
    elif surprise:
        lines = [f"not ok {number} {check.name}"]
        lines += [f"# {surprise}"] if check.result != FAILED else []
        lines += [f"# breaks: {check.rule}"] if check.rule and check.result == FAILED else []
    elif check.result == PASSED:
        return [f"ok {number} {check.name}"]
    else:
        return [f"ok {number} {check.name} # SKIP {' '.join(check.said) or check.result}"]
    return lines + [line if line.startswith("#") else f"# {line}" for line in check.said]


def ktap(report: Report) -> str:
    """KTAP, version 1, with a subtest for each program."""
    programs = list(_programs(report))
    lines = ["KTAP version 1", f"# {report.driver} on {report.device}, Linux {report.kernel}", f"1..{len(programs)}"]
    for number, (program, checks) in enumerate(programs, 1):
        inner = ["KTAP version 1", f"# Subtest: {program}", f"1..{len(checks)}"]
        for index, check in enumerate(checks, 1):
            inner += _line(report, index, check)
        lines += [f"  {line}" for line in inner]
        lines.append(f"{'not ok' if any(map(report.surprise, checks)) else 'ok'} {number} {program.replace(' ', '_')}")
    return "\n".join(lines) + "\n"


def junit(report: Report) -> str:
    """JUnit XML; an expected failure is a skipped test."""
    top = ElementTree.Element("testsuites", name=f"{report.driver} on {report.device}, Linux {report.kernel}")
    for program, checks in _programs(report):
        suite = ElementTree.SubElement(top, "testsuite", name=program, tests=str(len(checks)),
                                       failures=str(sum(map(bool, map(report.surprise, checks)))),
                                       skipped=str(sum(c.result != PASSED and not report.surprise(c) for c in checks)))
        for check in checks:
            case = ElementTree.SubElement(suite, "testcase", classname=f"{report.driver}.{program}", name=check.name)
            surprise = report.surprise(check)
            if surprise:
                ElementTree.SubElement(case, "failure", message=check.rule or surprise).text = "\n".join(check.said)
            elif check.result != PASSED:
                what = "expected to fail" if check.result == FAILED else " ".join(check.said) or check.result
                ElementTree.SubElement(case, "skipped", message=what)
    ElementTree.indent(top)
    return ElementTree.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def summary(report: Report) -> str:
    """One line."""
    bad = sum(map(bool, map(report.surprise, report.checks)))
    count = {result: sum(c.result == result for c in report.checks) for result in (PASSED, FAILED, SKIPPED)}
    known = sum(c.result == FAILED and not report.surprise(c) for c in report.checks)
    left = len(report.checks) - sum(count.values())
    parts = [f"{count[PASSED]} passed", f"{count[FAILED]} failed" + (f" ({known} of them expected)" if known else "")]
    parts += [f"{count[SKIPPED]} skipped"] if count[SKIPPED] else []
    parts += [f"{left} left out"] if left else []
    return f"{'FAIL' if bad or not report.held else 'PASS'}: {report.driver} on {report.device}, Linux {report.kernel}: {', '.join(parts)}"


def page(report: Report) -> str:
    """An HTML page: the failures with the sentence that each breaks, then all checks."""
    rows = []
    for check in report.checks:
        surprise = report.surprise(check)
        kind = "bad" if surprise else "known" if check.result == FAILED else ""
        result = surprise or ("expected failure" if check.result == FAILED else check.result)
        why = f"<blockquote>{html.escape(check.rule)}</blockquote>" if check.result == FAILED and check.rule else ""
        why += f"<pre>{html.escape(chr(10).join(check.said))}</pre>" if check.said else ""
        rows.append(f'<tr class="{kind}"><td>{html.escape(check.program)}</td><td>{html.escape(check.name)}</td>'
                    f"<td>{html.escape(result)}</td><td>{why}</td></tr>")
    rows.sort(key=lambda row: ('class="bad"' not in row, 'class="known"' not in row))
    title = html.escape(summary(report))
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>\n{_STYLE}</style></head>\n'
            f"<body><h1>Conformance of {html.escape(report.driver)}</h1>\n<p>{title}</p>\n<table>\n"
            "<tr><th>program</th><th>check</th><th>result</th><th>sentence of &lt;linux/vfio.h&gt; that is broken, and output</th></tr>\n"
            + "\n".join(rows) + "\n</table></body></html>\n")
