"""Parts of a text that are not prose: each way to write them, near misses, and speed."""

import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ner_mlflow.tagging.regions import KINDS, RULES, Region, find_regions

PARTS = (
    *(
        "```",
        "~~~",
        "```java\n",
        "{code}",
        "{code:java}",
        "{noformat}",
        "<pre>",
        "</pre>",
        "<code>",
    ),
    *("\n", "\n\n", "    ", "\t", " ", "- ", "> ", "at ", "at a.b.C.m(File.java:12)", "... 3 more"),
    *("Traceback (most recent call last):", 'File "x", line 1, in f', "goroutine 1 [running]:"),
    *("#0  0x00007f in f () from /lib/x.so", "at f (a.js:1:2)", "at A.B() in C:\\x.cs:line 5"),
    *(
        "https://",
        "www.",
        "a@b.org",
        "/usr/bin",
        "C:\\",
        "\\\\",
        "a/b/c.d",
        "::",
        "Redis",
        "é",
        "使",
    ),
)
TEXTS = st.one_of(
    st.text(st.characters()),  # half surrogate pairs included
    st.text(st.sampled_from("`~{}<>()[]./\\:@#\"'\n\r\t a1"), max_size=80),
    st.lists(st.sampled_from(PARTS)).map("".join),
)


def found(text: str) -> list[tuple[str, str]]:
    """Return the kind and the text of each region."""
    return [(region.kind, text[region.start : region.end]) for region in find_regions(text)]


@settings(deadline=None, max_examples=300)
@given(TEXTS)
@example("\ud800/\udfff/")
@example("```")
def test_regions_are_sorted_disjoint_and_within_the_text(text: str) -> None:
    regions = find_regions(text)
    assert all(0 <= region.start < region.end <= len(text) for region in regions)
    assert all(before.end <= after.start for before, after in pairwise(regions))
    assert all(region.kind in KINDS for region in regions)
    stripped = [text[region.start : region.end].strip() for region in regions]
    assert stripped == [text[region.start : region.end] for region in regions]


@settings(deadline=None, max_examples=300)
@given(TEXTS)
@example("www.a")
@example("1 a 0x123456 b")
def test_the_quick_look_at_a_text_misses_no_region(text: str) -> None:
    assert bool(find_regions(text)) == any(
        (match["region"] if "region" in rule.pattern.groupindex else match[0] or "").strip()
        for rule in RULES
        for match in rule.pattern.finditer(text)
        if "region" not in rule.pattern.groupindex or match["region"]
    )


JVM = "at a.b.C.m(File.java:12)\n\tat a.b.C$D.<init>(D.kt:3) ~[x.jar:1.0]\n\t... 12 more"
PYTHON = (
    'Traceback (most recent call last):\n  File "/x/y.py", line 1, in f\n    g(\n    ^^\n'
    '  File "z.py", line 2, in <module>\n    h()'
)
PYTHON_LINE = 'Traceback (most recent call last): File "x", line 1, in f g() File "y", line 2, in h'
NET = (
    "at A.B(String s) in C:\\x y\\x.cs:line 5\n   at C.D()\n"
    "--- End of inner exception ---\n  at E.F()"
)
JAVASCRIPT = (
    "at f (file.js:1:2)\n    at async Object.<anonymous> [as g] (/x y/z.js:1:2)\n"
    "    at new Foo (native)\n    at node:internal/x.js:1:2"
)
GO = "goroutine 1 [running]:\nmain.main()\n\t/tmp/x.go:12 +0x1d\ncreated by x\n\t/tmp/y.go:1"
RUST = "stack backtrace:\n   0: std::begin_panic\n             at /rustc/x.rs:12:5\n   1: main"
GDB = "#0  0x00007f in raise () from /lib/libc.so\n#1  main (argc=1) at main.c:12"
PHP = "#0 /var/www/x.php(12): f()\n#1 {main}"
RUBY = "a.rb:1:in `f'\n\tfrom /x/b.rb:2:in 'Object#g'"
MACOS = "0   libsystem.dylib   0x00007fff2 f + 10\n1   Foo   0x000000010 main + 2"


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        pytest.param("a\n```java\nb\n```\nc", ["```java\nb\n```"], id="fence"),
        pytest.param("a\n~~~ {.python}\nb ```\n~~~\nc", ["~~~ {.python}\nb ```\n~~~"], id="tildes"),
        pytest.param("````\n```\nb\n````\nc", ["````\n```\nb\n````"], id="longer fence"),
        pytest.param("a\n```\nb\n\nc", ["```\nb\n\nc"], id="fence not closed"),
        pytest.param("1. ```\n   b\n   ```\nc", ["1. ```\n   b\n   ```"], id="fence in a list"),
        pytest.param("> ```\n> b\n> ```\nc", ["> ```\n> b\n> ```"], id="fence in a quote"),
        pytest.param("Log: ```\nb```, c", ["```\nb```"], id="fence after text"),
        pytest.param("```\r\nb\r\n```\r\nc", ["```\r\nb\r\n```"], id="carriage returns"),
        pytest.param(
            "```\na\n```\nRedis\n```\nb\n```", ["```\na\n```", "```\nb\n```"], id="two fences"
        ),
        pytest.param("a {code:java|title=x}b{code} c", ["{code:java|title=x}b{code}"], id="Jira"),
        pytest.param("{noformat}\nb {code}\n{noformat}", ["{noformat}\nb {code}\n{noformat}"]),
        pytest.param("a\n{code}\nb\nc", ["{code}\nb\nc"], id="Jira macro not closed"),
        pytest.param('<pre class="x">\n<b>a</b>\n</pre> c', ['<pre class="x">\n<b>a</b>\n</pre>']),
        pytest.param("<code>a\nb</code>", ["<code>a\nb</code>"]),
        pytest.param("a\n\n    b\n\n    c\nd", ["b\n\n    c"], id="indented"),
        pytest.param("\tb\n\tc", ["b\n\tc"], id="indented at the start"),
    ],
)
def test_a_code_block_is_found_in_each_way_to_write_it(text: str, regions: list[str]) -> None:
    assert found(text) == [("code_block", region) for region in regions]


@pytest.mark.parametrize(
    "text",
    [
        "Use `Redis` or ```Redis``` here",
        "```Redis```\nprose\n```Nginx```",
        "Title\n~~~~~~~~\nRedis",
        "~~~gone~~~ Redis",
        "the {code} macro and {{code}} of Redis",
        "GET users {code",
        "<code>Redis</code> and <pre>Redis</pre>",
        "<pre>\nRedis",
        "a\n    b\n    c",
        "a\n\n    b\nc",
        "- a\n\n    b\n    c",
        "1. a\n\n    b\n    c",
        "- a\n  b\n\n  c\n\n    d\n    e",
        "Steps:\n\n    1. Open Firefox\n    2. Close Firefox",
    ],
)
def test_prose_is_no_code_block(text: str) -> None:
    assert [kind for kind, _ in found(text) if kind == "code_block"] == []


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        pytest.param(f"java.lang.E: x\n\t{JVM}\nb", [JVM], id="JVM"),
        pytest.param(
            f"E: x\n\t{JVM}\nCaused by: F: y\n\tat java.base/a.B.c(Native Method)",
            [JVM, "at java.base/a.B.c(Native Method)"],
            id="JVM, causes",
        ),
        pytest.param(
            "E: x at a.b.C.m(C.java:1) at d.E.f(Unknown Source) Caused by: F at g.H.i(H.scala:3) y",
            ["at a.b.C.m(C.java:1) at d.E.f(Unknown Source)", "at g.H.i(H.scala:3)"],
            id="JVM, on one line",
        ),
        pytest.param(
            "at a.B.c(B.java:1) at org.apa", ["at a.B.c(B.java:1) at org.apa"], id="JVM, cut"
        ),
        pytest.param(f"{PYTHON}\nValueError: x", [PYTHON], id="Python"),
        pytest.param(
            "    Traceback (most recent call last):\n"
            '      File "x", line 1, in f\n        g()\n    ValueError: x',
            ['Traceback (most recent call last):\n      File "x", line 1, in f\n        g()'],
            id="Python, indented",
        ),
        pytest.param(
            f"{PYTHON_LINE} x",
            [PYTHON_LINE],
            id="Python, on one line",
        ),
        pytest.param(
            'File "x", line 1, in f\ng()\nFile "y", line 2, in h\nE: x',
            ['File "x", line 1, in f\ng()\nFile "y", line 2, in h'],
            id="Python, without indent",
        ),
        pytest.param(f"System.E: x\n   {NET}\nb", [NET], id=".NET"),
        pytest.param(
            "E: x at A.B(C d) in C:\\x.cs:line 5 at E.F() b",
            ["at A.B(C d) in C:\\x.cs:line 5 at E.F()"],
            id=".NET, on one line",
        ),
        pytest.param(f"Error: x\n    {JAVASCRIPT}\nb", [JAVASCRIPT], id="JavaScript"),
        pytest.param("f@https://a.b/c.js:1:2\n@x.js:3:4\nb", ["f@https://a.b/c.js:1:2\n@x.js:3:4"]),
        pytest.param(f"panic: x\n\n{GO}\nexit status 2", [GO], id="Go"),
        pytest.param(f"thread 'main' panicked\n{RUST}\nnote: x", [RUST], id="Rust"),
        pytest.param(f"SIGSEGV\n{GDB}\nb", [GDB], id="gdb"),
        pytest.param(f"E: x\n{PHP}\nb", [PHP], id="PHP"),
        pytest.param(
            "a.rb:1:in `f': x (NameError)\n\tfrom b.rb:2:in `g'",
            ["a.rb:1:in `f'", "from b.rb:2:in `g'"],
            id="Ruby, with its error",
        ),
        pytest.param(f"{RUBY}\nb", [RUBY], id="Ruby"),
        pytest.param(f"EXC_BAD_ACCESS\n{MACOS}\nb", [MACOS], id="macOS"),
        pytest.param("a\n/lib/x.so(f+0x1)[0x7f12]\nb", ["/lib/x.so(f+0x1)[0x7f12]"], id="glibc"),
    ],
)
def test_the_calls_of_a_stack_trace_are_found_without_its_error(
    text: str, regions: list[str]
) -> None:
    assert found(text) == [("stack_trace", region) for region in regions]


@pytest.mark.parametrize(
    "text",
    [
        "Look at Redis (the cache) at noon",
        "at 10:30:15 it crashed",
        "at line 12 of Firefox",
        "#1 Firefox (nightly) from Mozilla",
        "#12345 is fixed",
        'File "Redis" is missing',
        "std::string of Boost",
    ],
)
def test_prose_is_no_stack_trace(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("see https://a.org/b_(c)?d=1#e.", "https://a.org/b_(c)?d=1#e"),
        ("(http://a.org/b), x", "http://a.org/b"),
        ("[Redis](https://redis.io)", "https://redis.io"),
        ("[a|https://a.org/b]", "https://a.org/b"),
        ('{"url":"https://a.org/b.js"}', "https://a.org/b.js"),
        ("**https://a.org**", "https://a.org"),
        ("\x1b]8;;https://a.org/b\x1b\\Redis", "https://a.org/b"),
        ("<s3a://bucket/x>", "s3a://bucket/x"),
        ("jar:file:///a.jar!/b", "jar:file:///a.jar!/b"),
        ("www.a.org - broken", "www.a.org"),
        ("看https://a.org/b，Redis", "https://a.org/b"),
        ("https://a.org/使用", "https://a.org/"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
    ],
)
def test_a_url_ends_before_punctuation_that_is_not_its_own(text: str, url: str) -> None:
    assert found(text) == [("url", url)]


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("mail me@a-b.co.uk.", ["me@a-b.co.uk"]),
        ("<a.b+c@163.com>", ["a.b+c@163.com"]),
        ("numpy@1.26.4 react@18 @angular/core@12.0.1 npm@latest user@ @Public", []),
    ],
)
def test_a_mail_address_has_a_domain(text: str, regions: list[str]) -> None:
    assert found(text) == [("mail_address", region) for region in regions]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("in /usr/bin/python3.11.", "/usr/bin/python3.11"),
        ("in /etc, x", "/etc"),
        ("~/.bashrc", "~/.bashrc"),
        ("run ./configure", "./configure"),
        ("../../a/b", "../../a/b"),
        ("$HOME/x", "$HOME/x"),
        ("--prefix=/usr/local", "/usr/local"),
        ("host:/var/log", "/var/log"),
        ("`/tmp/a b`", "/tmp/a"),
        ("src/main/java", "src/main/java"),
        (".github/workflows/ci.yml", ".github/workflows/ci.yml"),
        ("Assets/Scripts/Foo.cs:12:3: error", "Assets/Scripts/Foo.cs:12:3"),
        ("suite/browser/x.js", "suite/browser/x.js"),
        ("dev-support/docker/Dockerfile", "dev-support/docker/Dockerfile"),
        ("NoClassDefFoundError: org/a/b/C", "org/a/b/C"),
        ("github.com/golang/go", "github.com/golang/go"),
        ("在/usr/bin目录", "/usr/bin"),
        ('"C:\\Program Files (x86)\\Java", x', "C:\\Program Files (x86)\\Java"),
        ("C:\\dir\\x.txt: bad", "C:\\dir\\x.txt"),
        ("C:\\\\a\\\\b", "C:\\\\a\\\\b"),
        ("d:/a/b.mk", "d:/a/b.mk"),
        ("on C:\\ and Redis", "C:\\"),
        ("\\\\server\\share\\x.", "\\\\server\\share\\x"),
        ("HKEY_LOCAL_MACHINE\\SOFTWARE\\x", "HKEY_LOCAL_MACHINE\\SOFTWARE\\x"),
        ("%APPDATA%\\x", "%APPDATA%\\x"),
    ],
)
def test_a_path_is_found(text: str, path: str) -> None:
    assert found(text) == [("path", path)]


@pytest.mark.parametrize(
    "text",
    [
        "A/B and/or TCP/IP I/O w/o N/A",
        "nginx/1.25 Mozilla/5.0 7.1/LineageOS GNU/Linux ASP.NET/IIS application/json",
        "1/2 24/7/365 2024/01/02 01/02/2024, 4/30/20",
        "Chrome/Firefox/Edge Hadoop/Spark/Flink Node.js/Vue.js/React.js iOS/macOS/tvOS/watchOS",
        "React/Vue/Node.js min/max/mean AES/CTR/NoPadding",
        "</div> <br/> /> // /* */ / a / b",
        "10 km/h :/ :\\ \\n \\\\d+",
        "App\\Http\\Kernel",
        "torch==2.1.0 gradle:3.0.0 Redis,Nginx",
    ],
)
def test_names_between_slashes_are_no_path(text: str) -> None:
    assert found(text) == []


def test_what_lies_in_a_region_is_no_region_of_its_own() -> None:
    text = f"https://me@a.org/b/c.d\n```\n{PYTHON}\nwww.a.org\n```\n"
    assert [kind for kind, _ in found(text)] == ["url", "code_block"]


def test_offsets_count_code_points() -> None:
    assert find_regions("🙂 /tmp/🙂") == [Region(2, 7, "path")]


HOSTILE = (
    *(*".`~/\\{<([\"'@ #:%\n\t1a", "at ", "at (", "at a.b(", "at a(b) in ", "at a(b) in c:line "),
    *("<pre>", "<pre>\n", "{code:a} ", "{code}\n", "{noformat} {code} ", "```\n", "x ```\n"),
    *("``` a ", "~~~\n", "`" * 21 + "\n", "> ", "- ", "    a\n", "a\n\n    b\n\n", "a\n\n", " \n"),
    *("http://", "http://a.(", "www.", "a@", "a.", "a.b@c.d.", "a@a.git:", "a/", "./", " /a"),
    *(" a/b/c.d", "C:\\", "C:\\a b ", "\\\\ab\\cd", "HKLM\\", "%a%\\", "Traceback (most recent "),
    *("Traceback (most recent call last):\n", 'File "', 'File "a", line 1\n', "a.rb:1:in `a' "),
    *(
        "goroutine 1 [a]:\n",
        "goroutine 1 [a]:\na\n\ta.go:1\n",
        "#0 0x0000 \n",
        "#0 a (x) ",
        "1: ::\n",
    ),
    *("@a:1:1", "1 a 0x", "a[0x", "at a()\n--- End of ", "at" + " " * 50, "... 3 more "),
)


@pytest.mark.parametrize("part", HOSTILE, ids=repr)
def test_a_hostile_text_takes_time_linear_in_its_length(part: str) -> None:
    text = part * (200_000 // len(part))
    start = time.process_time()
    find_regions(text)
    assert time.process_time() - start < 2  # quadratic time would be minutes
