"""Cleaning: what leaves by which rule, what stays, whole real-looking issues, and speed."""

import string
from itertools import pairwise

import pytest
from cpu_time import limit_cpu_time
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ner_mlflow.weak.cleaning import BLOCK_RULES, INLINE_RULES, RULE_NAMES, blank, clean


def kept(text: str) -> str:
    return "".join(text[start:end] for start, end in clean(text).kept)


def rules(text: str) -> list[str]:
    return [removed.rule for removed in clean(text).removed]


@pytest.mark.parametrize(
    ("text", "remains", "expected"),
    [
        # HTML comments
        ("a <!-- b --> c", "a  c", ["html_comment"]),
        ("a\n<!-- b\n\nc -->\nd", "a\n\nd", ["html_comment"]),
        ("<!-- use ``` here -->\nProse.\n```\ncode\n```\nEnd.", "\nProse.\n\nEnd.",
         ["html_comment", "code_block"]),
        ("```\n<!--\n```\nProse -->.", "\nProse -->.", ["code_block"]),
        ("a <!-- not closed\nb", "a <!-- not closed\nb", []),
        # Code and stack traces
        ("a\n```java\nint b;\n```\nc", "a\n\nc", ["code_block"]),
        ("a\n\n    int b;\n    int c;\n\nd", "a\n\n    \n\nd", ["code_block"]),
        ("a {code:java}b\n{code} c", "a  c", ["code_block"]),
        ("It fails:\n\tat a.b.C.m(File.java:12)\n\tat a.D.n(D.java:3)\nOK.",
         "It fails:\n\t\nOK.", ["stack_trace"]),
        # Logs
        ("a\n2021-09-08T00:21:11.596Z #13 RUN apt\nb", "a\nb", ["log"]),
        ("a\n2021-09-08 00:21:11,596 [main] INFO x.Y - z\n21/08/09 05:07:05 DEBUG T: u\nb",
         "a\nb", ["log"]),
        ("a\nSep  8 00:21:11 host sshd[12]: x\n[Wed Oct 11 14:32:52 2000] [error] y\nb",
         "a\nb", ["log"]),
        ("a\n[INFO] x\n[ERROR]   y\nb", "a\nb", ["log"]),
        ("a\nWARN org.a.B: x\nINFO:root:y\nI0102 12:34:56.789 1 a.go:2] z\nb", "a\nb", ["log"]),
        ("a\nE/AndroidRuntime( 123): x\nnpm ERR! code 1\n[   12.345678] usb\nb", "a\nb", ["log"]),
        ("a\n127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] x\nb", "a\nb", ["log"]),
        ("[ERROR] Redis crashes on start\nb", "[ERROR] Redis crashes on start\nb", []),
        ("ERROR: cannot open the file\nI/O: slow", "ERROR: cannot open the file\nI/O: slow", []),
        ("At 12:30 Redis stopped.\n2021 was fine.", "At 12:30 Redis stopped.\n2021 was fine.", []),
        ("x\n10.0.1 is broken\n1.2.3 too", "x\n10.0.1 is broken\n1.2.3 too", []),
        ("NOTICE - We drop support for Python 3.7\na\nERROR - db.pool: x\n[12/34] Building a.o",
         "NOTICE - We drop support for Python 3.7\na\n", ["log"]),
        ("a\n[1/2] Port the code to Qt 6", "a\n[1/2] Port the code to Qt 6", []),
        ("2023-09-11 10:12:01 is when it fell", "2023-09-11 10:12:01 is when it fell", []),
        ("[10:12:01] <ann> is Redis up?", "[10:12:01] <ann> is Redis up?", []),
        # Commands behind a prompt, and differences
        ("Run:\n$ sudo apt install redis\nann@host:~$ ls -l\nIt costs $ 5.",
         "Run:\nIt costs $ 5.", ["command"]),
        ("Run:\nPS C:\\Users> dir\nOK", "Run:\nOK", ["command"]),
        ("a\ndiff --git a/b b/b\nindex 1234567..89abcde 100644\n--- a/b\n+++ b/b\n"
         "@@ -1,2 +1,2 @@ def f\n-x\n+y\n z\nEnd.", "a\nEnd.", ["diff"]),
        # Prose that is indented, as in mails
        ("Hi,\n\n    we have upgraded to Exim 4.96 and see\n    that the queue grows each day.\n",
         "Hi,\n\n    we have upgraded to Exim 4.96 and see\n    that the queue grows each day.\n",
         []),
        # Quotes and mail
        ("> 100 users on Redis 6 bring it down\n\n>50% of them fail",
         "> 100 users on Redis 6 bring it down\n\n>50% of them fail", []),
        ("> 1 first\n> 2 second\nno", "no", ["quote"]),
        ("bq. It fails\nNo, {quote}it\nfails{quote} here", "No,  here", ["quote"]),
        ("Am 5. Januar 2016 um 15:01 schrieb Ann <a@b.org>:\n> Hi\nBye", "Bye", ["mail", "quote"]),
        ("Le mar. 5 janv. 2016 à 15:01, Ann a écrit :\n> Hi\nBye", "Bye", ["mail", "quote"]),
        ("a\n> b\n>> c\n\nd", "a\n\nd", ["quote"]),
        ("a\n&gt; b\nc", "a\nc", ["quote"]),
        ("a -> b > c\n>= 2.0 is needed", "a -> b > c\n>= 2.0 is needed", []),
        ("Hi,\n\nOn Tue, Jan 5, 2016 at 3:01 PM, Ann <a@b.org> wrote:\n\n> Hi\nBye",
         "Hi,\n\n\nBye", ["mail", "quote"]),
        ("On 2016/01/05 Ann\nBrown wrote:\n> Hi\nBye", "Bye", ["mail", "quote"]),
        ("On Linux 5.4.1, the daemon wrote:\nx", "On Linux 5.4.1, the daemon wrote:\nx", []),
        ("-----Original Message-----\nFrom: Ann\nSent: Monday\nTo: Bob\n\nIt fails.",
         "\nIt fails.", ["mail"]),
        ("From: Ubuntu\nTo: Debian\nIt fails.", "From: Ubuntu\nTo: Debian\nIt fails.", []),
        # Tables
        ("a\n\n| x | y |\n|---|:-:|\n| 1 | 2 |\n\nb", "a\n\n\n\nb", ["table"]),
        ("a\n\nx | y\n--- | ---\n1 | 2\n\nb", "a\n\n\n\nb", ["table"]),
        ("a\n+---+---+\n| x | y |\n+---+---+\nb", "a\nb", ["table"]),
        ("a\n||x||y||\n|1|2|\nb", "a\nb", ["table"]),
        ("a\n<table><tr><td>x</td></tr>\n</table>\nb", "a\n\nb", ["table"]),
        ("Use ps | grep java\n---\nand a | b", "Use ps | grep java\n---\nand a | b", []),
        # Checkboxes
        ("- [ ] I have searched the issues\n- [x] I've read it\nb", "b", ["checkbox"]),
        ("* [X] This issue is no duplicate", "", ["checkbox"]),
        ("- [ ] Port it to Qt 6\n- [x] Windows", "- [ ] Port it to Qt 6\n- [x] Windows", []),
        ("- [x] Bug fix (non-breaking change)\n- [ ] Documentation\n- [x] Tested locally", "",
         ["checkbox"]),
        ("- [ ] We need Python 3.12\n- [x] Tested on Ubuntu\n- [ ] Bug in Chrome 117",
         "- [ ] We need Python 3.12\n- [x] Tested on Ubuntu\n- [ ] Bug in Chrome 117", []),
        ("### Result (on Windows 11)\nReported by: scans of Windows Server 2019 hosts",
         "### Result (on Windows 11)\nReported by: scans of Windows Server 2019 hosts", []),
        # Headings of templates
        ("### Steps to reproduce\n1. Open it", "1. Open it", ["heading"]),
        ("**Describe the bug**\nIt fails.", "It fails.", ["heading"]),
        ("## \U0001f41b Expected Behaviour:\na", "a", ["heading"]),
        ("## Environment (please complete)\na", "a", ["heading"]),
        ("#### What did you expect to see instead?\na", "a", ["heading"]),
        ("__Additional context__\na", "a", ["heading"]),
        ("h2. How to reproduce?\na", "a", ["heading"]),
        ("*Actual Result:*\na", "a", ["heading"]),
        ("**To Reproduce** Start Redis", " Start Redis", ["heading"]),
        ("### Screenshots\n_No response_\nb", "b", ["heading"]),
        ("## Redis 7 behaves\n**OS** Windows", "## Redis 7 behaves\n**OS** Windows", []),
        ("# Environment variables\na", "# Environment variables\na", []),
        ("Steps to reproduce:\nExpected behavior", "Steps to reproduce:\nExpected behavior", []),
        # Headers of trackers
        ("Reporter: Ann Brown\nPriority: Major\nStatus: Closed\nCreated: 2015-10-09\nb", "b",
         ["header"]),
        ("Status: 500\nCreated: a container", "Status: 500\nCreated: a container", []),
        # Boilerplate and signatures
        ("a\nSent from my iPhone", "a\n", ["boilerplate"]),
        ("This issue has been automatically marked as stale because it was quiet.\nb", "b",
         ["boilerplate"]),
        ("a\n\u2014\nReply to this email directly, view it on GitHub.", "a\n",
         ["signature", "boilerplate"]),
        ("_Copied from original issue: acme/site#12_\nb", "b", ["boilerplate"]),
        ("a\n\n-- \nAnn Brown\nAcme Ltd.\n", "a\n\n", ["signature"]),
        ("a\n--\nAfter a restart Redis works.", "a\n--\nAfter a restart Redis works.", []),
        ("Thanks for reporting this issue! Sent from Redis.",
         "Thanks for reporting this issue! Sent from Redis.", []),
        # Marks of the corpus
        ("a [Truncated] b", "a  b", ["truncation_mark"]),
        ("<issue_start><issue_comment>username_0: It fails", ": It fails",
         ["corpus_mark", "mention"]),
        # Images and links
        ("a ![b](http://c/d.png) e", "a  e", ["image"]),
        ("[![Build](http://a/b.svg)](http://c) d", " d", ["image"]),
        ("a !image-1.png|width=3! b", "a  b", ["image"]),
        ('a <img width="3" src="http://b/c.png"/> d', "a  d", ["image"]),
        ("see [the docs](https://a.b/c_(d)) now", "see the docs now", ["link", "link"]),
        ('see [the docs](/c "title")', "see the docs", ["link", "link"]),
        ("see [the docs|https://a.b/c] now", "see the docs now", ["link", "link"]),
        ("see https://a.b/c?d=e.", "see .", ["link"]),
        ("see <https://a.b/c> now", "see  now", ["link"]),
        ("a\n[1]: https://b.c/d\ne", "a\ne", ["link"]),
        ("a[0](b c) and list[1]", "a[0](b c) and list[1]", []),
        ("mail me@a.org, read /etc/hosts", "mail me@a.org, read /etc/hosts", []),
        # Tags
        ("<details><summary>Log</summary>a</details>", "Loga", ["html_tag"] * 2),
        ("an empty <td> in List<String>", "an empty <td> in List<String>", []),
        # Mentions
        ("@ann-b, see @bob: it fails", ", see : it fails", ["mention", "mention"]),
        ("as [~ann.brown] said, @username_12", "as  said, ", ["mention", "mention"]),
        ("a @Foo annotation, @Query and @State", "a @Foo annotation, @Query and @State", []),
        ("@Override and @Autowired, @angular/core, numpy@1.26, `@ann`, @latest",
         "@Override and @Autowired, @angular/core, numpy@1.26, `@ann`, @latest", []),
    ],
)  # fmt: skip
def test_a_rule_takes_what_it_names_and_not_a_line_more(
    text: str, remains: str, expected: list[str]
) -> None:
    assert kept(text) == remains
    assert sorted(set(rules(text))) == sorted(set(expected))


def test_the_names_of_the_rules_are_the_counters() -> None:
    assert len(set(RULE_NAMES)) == len(RULE_NAMES)
    assert {rule.name for rule in (*BLOCK_RULES, *INLINE_RULES)} < set(RULE_NAMES)


# Damage that the cleaning of bigcode/the-stack-github-issues does


def test_a_quoted_line_takes_nothing_above_it() -> None:
    above = "Redis 7 crashes on Ubuntu.\nI restarted it twice.\n"
    assert kept(f"{above}> Did you restart it?\nYes.") == f"{above}Yes."


@pytest.mark.parametrize("name", ["docker", "java", "redis", "a"])
def test_a_mentioned_user_does_not_take_the_same_word_from_the_text(name: str) -> None:
    text = f"@{name} I use {name} 20.10 and {name}-compose, {name.upper()} too."
    assert kept(text) == text.removeprefix(f"@{name}")


def test_a_long_comment_is_not_cut_and_only_the_mark_of_a_cut_goes() -> None:
    long = "The server fails after an hour of work with Redis.\n" * 5_000
    assert kept(long) == long
    assert kept(f"{long}[Truncated]\n{long}") == f"{long}\n{long}"


# Whole issues

ISSUE = """Redis 7 crashes on Ubuntu 22.04

<!-- Please search for ``` duplicates first. -->
- [x] I have searched the existing issues

### Describe the bug
Since the update to Redis 7.0.4 the server crashes, as @docker said in [this thread](https://x.y/z).
I run it in docker with `redis:7@sha256` on Ubuntu 22.04.

| OS | works |
|----|-------|
| 20.04 | yes |

### Logs
```
2022-08-01 10:00:00 # Redis is starting
```
2022-08-01 10:00:01.123 WARN overcommit_memory is set to 0
It stops with SIGSEGV.

> Did you try 6.2?

Version 6.2 works.

Sent from my iPhone
"""
ISSUE_PROSE = [
    "Redis 7 crashes on Ubuntu 22.04",
    "Since the update to Redis 7.0.4 the server crashes, as  said in this thread.",
    "I run it in docker with `redis:7@sha256` on Ubuntu 22.04.",
    "It stops with SIGSEGV.",
    "Version 6.2 works.",
]


def test_the_prose_of_an_issue_remains_with_its_offsets() -> None:
    assert [line for line in kept(ISSUE).splitlines() if line] == ISSUE_PROSE
    blanked = blank(ISSUE, clean(ISSUE))
    assert len(blanked) == len(ISSUE)
    assert ["".join(line.split()) for line in blanked.splitlines() if line.strip()] == [
        "".join(line.split()) for line in ISSUE_PROSE
    ]
    for word in ("SIGSEGV", "22.04.", "thread"):
        assert blanked.index(word) == ISSUE.index(word)


def test_carriage_returns_change_nothing() -> None:
    lines = kept(ISSUE.replace("\n", "\r\n")).splitlines()
    assert [line for line in lines if line] == ISSUE_PROSE


# Any text

PARTS = (
    *("```", "~~~", "`", "<!--", "-->", "{code}", "    ", "\t", "\n", "\n\n", " ", "> ", "&gt; "),
    *("| a | b |\n", "|---|---|\n", "<table>", "</table>", "[INFO] x", "2021-09-08 00:21:11 x"),
    *("On Tue, Jan 5 Ann wrote:\n", "From: a\nTo: b\nDate: c\n", "- [ ] I have", "### Steps\n"),
    *("**Describe the bug**", "Reporter: x\n", "Sent from my iPhone", "-- \nAnn", "@ann", "@"),
    *("[a](b)", "![a](b)", "[", "](", "https://a.b/c", "<img src=x>", "[Truncated]", "Redis", "é"),
)
TEXTS = st.one_of(
    st.text(st.characters()),  # half surrogate pairs included
    st.text(st.sampled_from("`~{}<>()[]./\\:@#\"'\n\r\t a1|-*_!"), max_size=80),
    st.lists(st.sampled_from(PARTS)).map("".join),
)


@settings(deadline=None, max_examples=300)
@given(TEXTS)
@example("\ud800@ann\udfff")
@example("\ufffc @ann \ufffc")
@example("")
def test_kept_and_removed_ranges_are_a_partition_of_the_text(text: str) -> None:
    cleaning = clean(text)
    removed = [(start, end) for start, end, _ in cleaning.removed]
    ranges = sorted((*cleaning.kept, *removed))
    assert all(start < end for start, end in ranges)
    assert [start for start, _ in ranges] == [0, *(end for _, end in ranges)][: len(ranges)]
    assert not text or ranges[-1][1] == len(text)
    for part in (cleaning.kept, removed):
        assert all(before[1] <= after[0] for before, after in pairwise(part))
    assert {part.rule for part in cleaning.removed} <= set(RULE_NAMES)
    blanked = blank(text, cleaning)
    assert len(blanked) == len(text)
    assert [index for index, sign in enumerate(text) if sign == "\n"] == [
        index for index, sign in enumerate(blanked) if sign == "\n"
    ]


@settings(deadline=None, max_examples=300)
@given(TEXTS)
@example("\n0000/0/0 0:00:00")
def test_the_quick_look_for_a_rule_misses_no_match(text: str) -> None:
    for rule in (*BLOCK_RULES, *INLINE_RULES):
        assert not rule.pattern.search(text) or any(need in text for need in rule.needs)


PROSE_WORDS = st.text(string.ascii_letters + string.digits + "é日", min_size=1, max_size=12)
PROSE_LINES = st.lists(PROSE_WORDS, min_size=1, max_size=9).map(
    lambda words: " ".join(("The", *words)) + "."
)


@settings(deadline=None)
@given(st.lists(PROSE_LINES).map("\n".join))
def test_prose_without_marks_is_kept_whole(text: str) -> None:
    assert rules(text) == []


HOSTILE = (
    *("<!--", "<!-- -", "-->", "> ", ">", "&gt;", "|", "| ", "|-", "|-|\n", "a|b\n-|-\n", "-"),
    *("+--", "<table>", "<table", "- [ ] I", "- [", "#", "### ", "**", "*", "__", "_", "@", "@a"),
    *("@a-", "[", "]", "[a](", "[a](b", "![", "![a](", "!", "!a.png", "[~", "[a|http://", "<img "),
    *("<https://", "<", "On ", "On Tue, ", "On 1/1/2011 a\n", "wrote:", "From: a\n", "-- \n"),
    *("--", "\n", " ", "\t", "\r\n", "`", "`a", "```", "2021-09-08 ", "[a] ", "INFO ", "[1/2] "),
    *(
        "Sent from my ",
        "Reporter: ",
        "The description ",
        "## the bug ",
        "username_",
        "a",
        "A:",
        "é",
    ),
    *("https://a", "www.a", "[[", "((", "](((", "[1]: http://", "**describe the ", "1.1.1.1 - "),
)


NEEDS = "-->wrote:Original Message--|</table>[Truncated]\n> "
"""A beginning with what the quick look at a text asks for."""


@pytest.mark.parametrize("part", HOSTILE)
def test_hostile_texts_take_linear_time(part: str) -> None:
    with limit_cpu_time(2):
        clean(NEEDS + part * (200_000 // len(part)))
        clean(NEEDS + (part + "\n") * (20_000 // len(part)))
