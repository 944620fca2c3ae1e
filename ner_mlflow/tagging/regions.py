r"""Find the parts of a text that are not prose: code, stack traces, URLs, mail addresses, paths.

The rules are the table :data:`RULES`. Each takes time linear in the text: repetitions are
possessive or bounded, and a pattern that looks far ahead stops where the next match could begin.
"""

import re
from collections.abc import Iterator
from heapq import merge
from typing import NamedTuple

KINDS = ("code_block", "stack_trace", "url", "mail_address", "path")


class Region(NamedTuple):
    """A part of a text, in code points, end exclusive; ``kind`` is one of :data:`KINDS`."""

    start: int
    end: int
    kind: str


class Rule(NamedTuple):
    """One way to write a region.

    A text that contains no string of ``needs`` has no match, and the pattern is not tried. A match
    is the region, or its group ``region`` if the pattern has one; a match without that group is
    passed over.
    """

    name: str
    kind: str
    needs: tuple[str, ...]
    pattern: re.Pattern[str]


def compile_parts(*parts: str) -> re.Pattern[str]:
    """Compile the parts of a pattern; ``^`` and ``$`` match at each line, ``.`` at a line break."""
    return re.compile("".join(parts), re.MULTILINE | re.DOTALL)


def _rule(name: str, kind: str, needs: tuple[str, ...], *parts: str) -> Rule:
    return Rule(name, kind, needs, compile_parts(*parts))


_BLANKS = r"[ \t\r]*+"
_LINE_END = rf"{_BLANKS}(?:\n|\Z)"
_BULLET = r"(?:[-*+•]|\d{1,3}[.)])"
_QUOTE_OR_LIST = rf"^[ \t>]*+(?:{_BULLET}[ \t]++)?"
_POSITION = r":\d{1,7}:\d{1,7}"

# A call in a trace of the JVM: `at java.base/a.b.C.m(File.java:12) ~[c.jar:1.0]`.
_JVM_SOURCE = (
    r"(?:[\w$.-]{1,100}\.(?:java|kt|kts|scala|groovy|clj|jsp)(?::\d{1,7})?|Native Method"
    r"|Unknown Source|(?:SourceFile|<generated>)(?::\d{1,7})?)"
)
_JVM_CALL = (
    rf"at[ \t]++[\w$.<>/@:~+-]{{1,400}}\({_JVM_SOURCE}\)(?:[ \t]{{1,4}}~?\[[^\]\s]{{1,200}}\])?"
)
# The same in JavaScript: `at async A.f [as g] (/x/y.js:1:2)`, `at /x/y.js:1:2`.
_JAVASCRIPT_CALL = (
    r"at[ \t]++(?:(?:async|new)[ \t]++)?(?:[\w$.<>/#*]{1,200}[ \t]++)?"
    r"(?:\[as [^\]\n]{1,99}\][ \t]++)?"
    rf"(?:\([^()\n]{{1,400}}{_POSITION}\)|\((?:native|<anonymous>)\)"
    rf"|[^\s()]{{1,400}}?\.[cm]?[jt]sx?{_POSITION})"
)
_CALL = rf"(?:{_JVM_CALL}|{_JAVASCRIPT_CALL})"
_MORE_CALLS = r"\.\.\. \d{1,6} (?:more|common frames omitted)"
_NET_CALL = r"at [\w.`<>$+,\[\]|&]{1,400}\([^()\n]{0,400}\)"
_NET_PLACE = r" in [^\n]{1,400}?:line \d{1,7}"
_PYTHON_CALL = r'File "[^"\n]{1,500}", line \d{1,7}'
_PYTHON_ERROR = r"[\w.]{1,200}(?:Error|Exception|Exit|Interrupt|Warning)(?::|[ \t\r]*$)"

# Final punctuation, quotation marks and closing brackets do not belong to a URL or path, nor do
# characters of scripts without blanks, because prose follows there without a blank.
_NO_BLANKS = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff\ufe30-\uffef"
_URL_BODY = (
    rf"(?:[.,;:!?*]*+(?:[^\s\x00-\x1f\x7f<>\"'`()\[\]{{}}|\\^.,;:!?*«»\u2018-\u201f…{_NO_BLANKS}]"
    r"|\([^\s()<>\"'`]*+\)|\[[^\s\[\]<>\"'`]*+\]|\{[^\s{}<>\"'`]*+\}))++"
)
_NAME = r"(?:[.,]*+(?:[A-Za-z0-9_\u00c0-\u0dff+~%$#@*-]|\{[\w.-]{1,60}\}))++"
_LINE_NUMBER = r"(?::\d{1,7}(?!\w|\.\w)){0,2}"
_BEFORE_PATH = r"(?<![A-Za-z0-9_\u00c0-\u0dff/\\.<~$%@&*+-])"
_DIRECTORY = (
    r"(?:app|apps|assets|bin|build|cmd|com|conf|config|dist|doc|docs|etc|home|lib|libs|modules"
    r"|node_modules|opt|org|packages|pkg|resources|scripts|site-packages|src|static|templates|test"
    r"|tests|tmp|usr|utils|var|vendor)/"
)
_PATH_BEGINNING = r"[.,A-Za-z0-9_\u00c0-\u0dff+~%$#@*{-][^\s/]{0,203}/"
"""What each path of names begins with; a quick look, before the slower ones for signs."""
_PATH_SIGNS = (
    # A suffix or a usual name at the end; `.js` and `.net` end names of software too.
    r"(?:\.?[^\s/.]{1,200}/){2,20}[^\s/.]{1,200}\.(?!js\b|net\b)[A-Za-z]",
    r"(?:[a-z][^\s/.]{0,200}/){2,20}[^\s/.]{1,200}\.js\b",
    r"(?:\.?[^\s/.]{1,200}/){2,20}(?:Dockerfile|Makefile|README|LICENSE)\b",
    # A slash at the end, or four names; the first name is in lower case.
    r"[a-z_.][a-z0-9_.-]{0,200}/[^\s/]{1,200}/(?:[\s,;)]|$|[^\s/]{1,200}/[^\s/])",
    # A directory or a host.
    rf"(?:[^\s/]{{1,200}}/){{0,2}}{_DIRECTORY}",
    r"[a-z0-9.-]{1,200}\.(?:com|org|net|in|dev)/",
)
_WINDOWS_LETTER = r"[^\s\\/:*?\"'<>|`,;()\[\].]"
_WINDOWS_NAME = (  # blanks belong to a name that another name follows
    r"(?:(?:[^\s\\/:*?\"'<>|`,;]{1,60} ){1,4}[^\s\\/:*?\"'<>|`,;]{1,60}(?=\\)"
    rf"|(?:\.*+{_WINDOWS_LETTER})++)"
)
_WINDOWS_NAMES = rf"{_WINDOWS_NAME}(?:[\\/]{{1,2}}{_WINDOWS_NAME})*+[\\/]?"

RULES = (
    _rule(
        "Markdown fence",
        "code_block",
        ("```", "~~~"),
        # Any info string may follow. A fence that is not closed runs to the end of the text.
        rf"{_QUOTE_OR_LIST}(?P<fence>`{{3,20}}+(?=[^`\n]*+$)",
        rf"|~{{3,4}}+(?=(?:[ \t]*+[\w{{.][^`~\n]*+)?{_BLANKS}$))[^\n]*+",
        rf"(?:\n(?![^\n]*(?P=fence){_BLANKS}$)[^\n]*+)*+",
        r"(?:\n[^\n]*+)?",
    ),
    _rule(
        "Markdown fence after other text",
        "code_block",
        ("```",),
        r"(?<!`)```(?!`)[^`\n]++```",  # a pair on one line is no block
        r"|(?P<region>(?<!`)```(?!`)[^`\n]*+\n[^`]*+(?:`(?!``)[^`]*+)*+```)",
    ),
    _rule(
        "Jira macro",
        "code_block",
        ("{code", "{noformat"),
        # A macro at the end of its line that is not closed runs to the end of the text.
        r"(?<![{\w/])\{(?P<macro>code|noformat)(?::[^{}\n]{0,200})?\}",
        r"(?:[^{]*+(?:\{(?!(?P=macro)[:}])[^{]*+)*+(?<!\{)\{(?P=macro)(?::[^{}\n]{0,200})?\}",
        rf"|{_BLANKS}$.*+)",
    ),
    _rule(
        "HTML block over lines",
        "code_block",
        ("<pre", "<code", "<PRE", "<CODE"),
        r"<(?P<tag>pre|code|PRE|CODE)(?:\s[^<>]{0,200})?>",
        r"[^<\n]*+(?:<(?!/?(?P=tag)\b)[^<\n]*+)*+\n",
        r"[^<]*+(?:<(?!/?(?P=tag)\b)[^<]*+)*+</(?P=tag)>",
    ),
    _rule(
        "Java and JavaScript",
        "stack_trace",
        ("at ", "at\t"),
        rf"\b{_CALL}(?:\s++(?:{_CALL}|{_MORE_CALLS}))*+",
        r"(?:\s++at [\w$.<>/]*+\Z)?",  # the text may be cut within a call
    ),
    _rule(
        ".NET",
        "stack_trace",
        ("at ",),
        rf"^[ \t]*+{_NET_CALL}(?:{_NET_PLACE}|{_BLANKS}$)",
        rf"(?:\s++{_NET_CALL}(?:{_NET_PLACE}|{_BLANKS}$)|\s++--- End of [^\n]*+)*+",
    ),
    _rule(
        ".NET on one line",
        "stack_trace",
        (":line ",),
        rf"\b{_NET_CALL}{_NET_PLACE}(?:\s++{_NET_CALL}(?:{_NET_PLACE})?)*+",
    ),
    _rule(
        "Firefox",
        "stack_trace",
        ("@",),
        rf"(?:^[\w$.<>/*]{{0,200}}@[^\s@]{{1,400}}?{_POSITION}{_LINE_END})++",
    ),
    _rule(
        "Python",
        "stack_trace",
        ("Traceback (", 'File "'),
        rf"(?:^[ \t>]*+Traceback \(most recent call last\):{_BLANKS}$",
        rf"|^[ \t]*+(?={_PYTHON_CALL}))(?:\s*+{_PYTHON_CALL}[^\n]*+",
        # Lines of code. Without indent they belong here only if another call follows.
        rf"(?:\n[ \t]++(?!File \"|{_PYTHON_ERROR})[^\s][^\n]*+",
        rf"|\n(?![ \t]|File \")[^\n]++(?=\n[ \t]*+{_PYTHON_CALL}))*+)*+",
    ),
    _rule(
        "Python on one line",
        "stack_trace",
        ("Traceback (",),
        r"Traceback \(most recent call last\):",
        rf"(?:[^\n]{{1,300}}?{_PYTHON_CALL}(?:, in [\w.<>]{{1,200}})?)*+",
    ),
    _rule(
        "Go",
        "stack_trace",
        ("goroutine ",),
        r"^goroutine \d{1,9} \[[^\]\n]{1,200}\]:[^\n]*+",
        r"(?:\n(?!goroutine )[^\s][^\n]*+\n[ \t]++[^\n]*?\.(?:go|s|c):\d{1,7}[^\n]*+)*+",
    ),
    _rule(
        "Rust",
        "stack_trace",
        ("stack backtrace:", "::"),
        rf"(?:^stack backtrace:{_LINE_END}",
        rf"|^[ \t]*+\d{{1,4}}:[ \t]++(?:0x[\da-f]{{1,16}} - )?[^\s:]{{0,200}}::[^\n]*+{_LINE_END})",
        rf"(?:[ \t]++at [^\n]*+{_LINE_END}|[ \t]*+\d{{1,4}}:[ \t]++[^\s][^\n]*+{_LINE_END})*+",
    ),
    _rule(
        "gdb and PHP",
        "stack_trace",
        ("#",),
        r"(?:^[ \t]*+#\d{1,4}[ \t]++(?:0x[\da-fA-F]{4,16}[ \t][^\n]*+",
        r"|[^\s()]{1,400} ?\([^\n]{0,999}?\)\s{1,9}(?:at [^\s]{1,400}:\d{1,7}|from /[^\s]{1,400})",
        rf"|/[^\s()]{{1,400}}\(\d{{1,7}}\): [^\n]*+|\{{main\}}){_LINE_END})++",
    ),
    _rule(
        "Ruby",
        "stack_trace",
        (".rb:",),
        r"(?:^[ \t]*+(?:\d{1,4}: )?(?:from )?[^\s:]{1,400}\.rb:\d{1,7}:in [`'][^'\n]{1,200}'",
        r"[ \t\r]*+\n?)++",
    ),
    _rule(
        "macOS",
        "stack_trace",
        ("0x",),
        r"(?:^[ \t]*+\d{1,4}[ \t]++[^\s]{1,200}[ \t]++0x[\da-f]{6,16}[ \t][^\n]*+",
        rf"{_LINE_END})++",
    ),
    _rule(
        "glibc",
        "stack_trace",
        ("[0x",),
        r"(?:^[ \t]*+[^\s()\[]{1,400}(?:\([^()\s]{0,400}\))? ?\[0x[\da-f]{4,16}\]",
        rf"{_LINE_END})++",
    ),
    _rule(
        "indented block after a blank line",
        "code_block",
        ("    ", "\t"),
        # The line before is neither indented nor an item of a list; or the text begins here.
        rf"(?:\A(?:{_BLANKS}\n)*+|^(?!{_BULLET}[ \t])[^\s][^\n]*+\n(?:{_BLANKS}\n)++)",
        rf"(?P<region>(?:(?:{_BLANKS}\n)*+(?: {{4}}|\t)(?![ \t]*+{_BULLET}[ \t])",
        r"[ \t]*+[^\s][^\n]*+(?:\n|\Z)){2,}+)",
    ),
    _rule(
        "URL",
        "url",
        ("://",),
        r"(?<![A-Za-z])(?:(?:jar|view-source|blob|jdbc|scm:git|git):)?",
        rf"[A-Za-z][A-Za-z0-9+.-]{{0,30}}://{_URL_BODY}",
    ),
    _rule(
        "URL without a scheme",
        "url",
        ("www.", "WWW."),
        rf"(?<![A-Za-z0-9_.-])(?:www|WWW)\.{_URL_BODY}",
    ),
    _rule(
        "Git over SSH",
        "url",
        (".git",),
        r"(?<![A-Za-z0-9_.-])[A-Za-z0-9_.-]{1,64}+@[A-Za-z0-9.-]{1,200}:(?!//)[\w./~-]{1,400}\.git\b",
    ),
    _rule(
        "mail address",
        "mail_address",
        ("@",),
        # `numpy@1.26` is no address, `me@163.com` is one.
        r"(?<![A-Za-z0-9_.+%-])[A-Za-z0-9_.+%-]{1,64}+@(?:\d{1,9}\.com",
        r"|(?=[\d-]*+[A-Za-z])[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,9}?\.[A-Za-z]{2,24})",
        r"(?![A-Za-z0-9-]|\.[A-Za-z0-9])",
    ),
    _rule(
        "POSIX path with a root",
        "path",
        ("/",),
        # `/x`, `~/x`, `./x`, `../x`, `$HOME/x`. A single name begins in lower case.
        rf"{_BEFORE_PATH}(?:(?:~|\.\.?|\$\w{{1,60}}|\$\{{\w{{1,60}}\}})/(?:\.\.?/)*+",
        rf"|/(?=[a-z_.]|[^\s/]{{1,200}}/)){_NAME}(?:/++{_NAME})*+/?{_LINE_NUMBER}",
    ),
    _rule(
        "POSIX path of names",
        "path",
        ("/",),
        # `Chrome/Firefox/Edge` is a list: three names or more need a sign that they are a path.
        rf"{_BEFORE_PATH}(?={_PATH_BEGINNING})(?={'|'.join(_PATH_SIGNS)})",
        rf"{_NAME}(?:/{_NAME}){{2,}}+/?{_LINE_NUMBER}",
    ),
    _rule(
        "Windows path",
        "path",
        (":\\", ":/", "\\\\"),
        rf"(?<![A-Za-z0-9_\\])(?:[A-Za-z]:\\{{1,2}}(?:{_WINDOWS_NAMES})?|[A-Za-z]:/{_WINDOWS_NAMES}",
        rf"|\\\\(?=[\w.-]{{2,64}}\\[\w$.-]{{2}}){_WINDOWS_NAMES})",
    ),
    _rule(
        "Windows registry and variables",
        "path",
        ("HK", "%\\"),
        r"(?<![A-Za-z0-9_])(?:HKEY_[A-Z_]{1,40}|HKLM|HKCU|HKCR|%\w{1,60}%)",
        rf"(?:\\{{1,2}}{_WINDOWS_NAME})++",
    ),
)

_MARK = re.compile(r"[`~{<@/\\\"\t(\[#:]")
_MARKS = ("www.", "WWW.", "    ", "0x")
"""Every region contains one of these, so that most sentences need no look at the table."""


def find_regions(text: str) -> list[Region]:
    """Return the regions of a text, sorted, none empty, none overlapping another.

    Of two that overlap the one that begins first stays, and of two that begin together the one
    whose rule comes first. White space around a region does not belong to it. Takes time linear
    in the text, about 1 µs for a sentence of plain words.
    """
    if _MARK.search(text) is None and not any(map(text.__contains__, _MARKS)):
        return []
    found = merge(
        *(
            _matches(order, text)
            for order, rule in enumerate(RULES)
            if any(need in text for need in rule.needs)
        )
    )
    regions: list[Region] = []
    taken = 0
    for start, order, end in found:
        if start >= taken:
            regions.append(Region(start, end, RULES[order].kind))
            taken = end
    return regions


def _matches(order: int, text: str) -> Iterator[tuple[int, int, int]]:
    """Yield start, ``order`` and end of each region of a rule, without white space around it."""
    pattern = RULES[order].pattern
    group = "region" if "region" in pattern.groupindex else 0
    for match in pattern.finditer(text):
        found = match[group]
        if found and (stripped := found.strip()):
            start = match.start(group) + len(found) - len(found.lstrip())
            yield start, order, start + len(stripped)
