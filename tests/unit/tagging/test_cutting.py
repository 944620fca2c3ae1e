"""Chunks to pieces: entities of IT text are whole pieces, nothing is lost, no chunk is slow."""

import re
from collections.abc import Iterator
from itertools import pairwise, product

import pytest
from cpu_time import limit_cpu_time
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ner_mlflow.tagging import cutting
from ner_mlflow.tagging.cutting import (
    CHUNK,
    KNOWN_CHUNK_CHARACTERS,
    KNOWN_CHUNK_PIECES,
    LONGEST_CUT,
    NAMES,
    cut,
)
from ner_mlflow.tagging.invisible import WITHOUT_GLYPH, visible
from ner_mlflow.tagging.words import split_sentences

WITHOUT_GLYPHS = re.compile(f"[{WITHOUT_GLYPH}]*$")
MARKS = ".,;:!?\"'`()[]{}<>/\\|@#$%^&*-_+=~’。，"
PARTS = [
    *("Redis", "nginx", "1.25", "v2", "C", "n't", "'s", "com", "http", "://", "www.", "lt;", "div"),
    *(
        "foo",
        "()",
        "--",
        "**",
        "__",
        "==",
        "->",
        "::",
        "\u0301",
        "\u200d",
        "\ufe0f",
        "🙂",
        "🇩",
        "中",
    ),
    *("e-5", "Ctrl+", ".jar", "-rc1", "-alpine", "TCP/IP", "00:1A:", "\\n", "\x1b[0m", "%20", "_x"),
    *MARKS,
]
CHUNKS = st.one_of(
    st.text(st.characters(), min_size=1),  # half surrogate pairs included
    st.text(st.one_of(st.sampled_from(MARKS), st.sampled_from("aB1é")), min_size=1, max_size=40),
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=12).map("".join),
).map(lambda text: "".join(text.split()) or "x")


def pieces(chunk: str) -> list[str]:
    return [chunk[start:end] for start, end in cut(chunk)]


@settings(deadline=None, max_examples=400)
@given(CHUNKS)
@example("\ud800Redis\udfff")
def test_the_pieces_of_a_chunk_join_to_it_but_for_hidden_characters(chunk: str) -> None:
    extents = cut(chunk)
    assert extents
    assert all(start < end for start, end in extents)
    for (_, end), (start, _) in pairwise([(0, 0), *extents, (len(chunk), 0)]):
        assert end <= start
        assert WITHOUT_GLYPHS.match(chunk[end:start])


@settings(deadline=None, max_examples=400)
@given(CHUNKS)
def test_a_piece_that_is_cut_again_stays_whole(chunk: str) -> None:
    for piece in pieces(chunk):
        assert pieces(piece) == [piece]


@settings(deadline=None, max_examples=400)
@given(CHUNKS)
def test_a_remembered_chunk_is_cut_as_at_first(chunk: str) -> None:
    assert cut(chunk) == cut(chunk)


@settings(deadline=None, max_examples=400)
@given(st.text(st.sampled_from([chr(point) for point in range(33, 127)]), min_size=1, max_size=20))
def test_plain_chunks_are_cut_as_by_all_rules(chunk: str) -> None:
    extents = cut(chunk)
    whole = [match.span() for match in cutting._PIECE.finditer(chunk)]
    # Within words there may be more cuts, but each end of a piece of all rules is an end here.
    if len(extents) > 1:
        assert {end for _, end in whole} <= {end for _, end in extents}


@pytest.mark.parametrize(
    "chunk", ["...", "--", "()", "=>", "|---|---|", "👨‍👩‍👧", "\u200b", "'s", "N'T"]
)
def test_a_chunk_without_letters_and_digits_and_a_contraction_stay_whole(chunk: str) -> None:
    assert pieces(chunk) == [chunk]


CASES = {
    "names and versions": """
        nginx/1.25 = nginx / 1.25
        nginx/1.25.3, = nginx / 1.25.3 ,
        Mozilla/5.0 = Mozilla / 5.0
        rv:78.0) = rv : 78.0 )
        7.1/LineageOS = 7.1 / LineageOS
        torch==2.1.0 = torch == 2.1.0
        torch>=2.1,<3 = torch >= 2.1 , < 3
        torch~=2.1 = torch ~= 2.1
        gradle:3.0.0 = gradle : 3.0.0
        com.android.tools.build:gradle:3.0.0 = com.android.tools.build : gradle : 3.0.0
        react@18.2.0 = react @ 18.2.0
        @types/node@18 = @types / node @ 18
        seamonkey-2.53.7.1 = seamonkey - 2.53.7.1
        bookmarks_2-2.0.99-fx = bookmarks_2 - 2.0.99 - fx
        linux-image_4.15 = linux-image _ 4.15
        node-v18.17.0-linux-x64.tar.xz = node - v18.17.0 - linux-x64 .tar.xz
        node_v18.17 = node _ v18.17
        Python3.11 = Python 3.11
        Python3 = Python3
        v1.2-rc1 = v1.2-rc1
        1.0.0-beta.2 = 1.0.0-beta.2
        2.3.0-SNAPSHOT = 2.3.0-SNAPSHOT
        python:3.6-alpine = python : 3.6 - alpine
        10.7-specific = 10.7 - specific
        3.2.1-development = 3.2.1 - development
        IE8 = IE8
        S3A = S3A
        log4j2.17 = log4j 2.17
        log4j2 = log4j2
        Log4j2.xml = Log4j2.xml
        jdk-17 = jdk - 17
        openjdk-17-jdk = openjdk - 17-jdk
        hadoop-3.2.4-SNAPSHOT.jar = hadoop - 3.2.4-SNAPSHOT .jar
        jetty-io-9.4.31.v20200723.jar:9.4 = jetty-io - 9.4.31.v20200723 .jar : 9.4
        test1.txt = test1.txt
        ubuntu-16.04.3-desktop-amd64.iso = ubuntu - 16.04.3 - desktop-amd64 .iso
        Windows10 = Windows10
        iOS14.2 = iOS 14.2
        Vue.js3 = Vue.js3
        ^1.2.3 = ^ 1.2.3
        2.x = 2.x
        PHP5.x = PHP 5.x
        2.*, = 2.* ,
        1.2.3+build5 = 1.2.3 + build5
        TLSv1.2 = TLS v1.2
        conv1.2 = conv 1.2
        HTTP/1.1 = HTTP / 1.1
        nginx-1.25.3-1.el8.x86_64.rpm = nginx - 1.25.3-1.el8.x86_64 .rpm
        jdk1.8.0_131 = jdk 1.8.0_131
        libstdc++6 = libstdc++6
        C++11 = C++11
        C++, = C++ ,
        C#. = C# .
        C#8.0 = C# 8.0
        C++/CLI = C++ / CLI
        .NET6.0 = .NET 6.0
        ASP.NET/IIS = ASP.NET / IIS
        Objective-C = Objective-C
        x86_64 = x86_64
    """,
    "lists": """
        A/B = A / B
        A,B = A , B
        A;B = A ; B
        Redis|Nginx = Redis | Nginx
        Redis&Nginx = Redis & Nginx
        Redis+Nginx = Redis + Nginx
        Redis→Nginx = Redis → Nginx
        Redis–Nginx = Redis – Nginx
        (Redis/Nginx). = ( Redis / Nginx ) .
        Linux/Windows/macOS = Linux / Windows / macOS
        macOS/iOS/Android/Windows = macOS / iOS / Android / Windows
        2.7/3.4/3.5/3.6 = 2.7 / 3.4 / 3.5 / 3.6
        Ctrl+Shift+X = Ctrl+Shift+X
        n+1 = n+1
        TCP/IP, = TCP/IP ,
        and/or = and / or
        Redis...Nginx = Redis ... Nginx
    """,
    "markup": """
        <b> = <b>
        <br/>Redis = <br/> Redis
        <code>Redis</code> = <code> Redis </code>
        href="https://x.y/z">Redis</a> = href = " https://x.y/z " > Redis </a>
        <!--Redis--> = <!-- Redis -->
        <https://redis.io> = < https://redis.io >
        **Redis** = ** Redis **
        ***Redis*** = *** Redis ***
        **Redis**'s = ** Redis ** 's
        **Redis:** = ** Redis : **
        **nginx/1.25** = ** nginx / 1.25 **
        *Redis*, = * Redis * ,
        broke._ = broke . _
        foo.__init__ = foo.__init__
        _Redis_ = _ Redis _
        (_Redis_), = ( _ Redis _ ) ,
        __Redis__ = __ Redis __
        _nginx/1.25_ = _ nginx / 1.25 _
        _foo_bar_ = _ foo_bar _
        _Windows = _ Windows
        10_ = 10 _
        _id = _id
        __init__ = __init__
        __init__() = __init__()
        __main__.py = __main__.py
        snake_case = snake_case
        ~~Redis~~ = ~~ Redis ~~
        `Redis` = ` Redis `
        `Redis`'s = ` Redis ` 's
        ``Redis`` = `` Redis ``
        ```python = ``` python
        [Redis](https://redis.io) = [ Redis ] ( https://redis.io )
        [Redis](https://redis.io), = [ Redis ] ( https://redis.io ) ,
        ![img](x.png) = ! [ img ] ( x.png )
        &lt;Redis&gt; = &lt; Redis &gt;
        Redis&amp;Nginx = Redis &amp; Nginx
        &#39;Redis&#x27; = &#39; Redis &#x27;
        &amp;lt;Redis&amp;gt; = &amp;lt; Redis &amp;gt;
        &amp;Redis; = &amp; Redis ;
        |Redis|1.2| = | Redis | 1.2 |
        >Redis = > Redis
        #Redis = # Redis
        -Redis = - Redis
        -redis- = - redis -
        -redis-, = - redis - ,
        --redis-- = -- redis --
        +redis+ = + redis +
        ++redis++ = ++ redis ++
        *+redis+* = * + redis + *
        +C++ = + C++
        ___redis___ = ___ redis ___
        _-redis-_ = _ - redis -_
        _-overwrite_ = _ -overwrite _
        @redis@ = @ redis @
        $Redis$ = $ Redis $
        h3.Redis = h3 . Redis
        h3. = h3 .
        org.h2.Driver = org.h2.Driver
        {{Redis}} = {{ Redis }}
        [Redis|https://x.y] = [ Redis | https://x.y ]
        {code:java} = { code : java }
        {quote}Redis{quote} = { quote } Redis { quote }
        {color:red}Redis{color} = { color : red } Redis { color }
        [~user] = [ ~ user ]
        !image.png|thumbnail! = ! image.png | thumbnail !
        ||Redis||1.2|| = || Redis || 1.2 ||
        "Redis" = " Redis "
        'Redis', = ' Redis ' ,
        “Redis”, = “ Redis ” ,
        «Redis» = « Redis »
    """,
    "terminals": r"""
        \x1b[31mRedis\x1b[0m = \x1b[31m Redis \x1b[0m
        \x1b[38;5;196mRedis\x1b[m = \x1b[38;5;196m Redis \x1b[m
        \x1b[38:5:1mRedis = \x1b[38:5:1m Redis
        \x1b[?25lRedis\x1b[?25h = \x1b[?25l Redis \x1b[?25h
        \x1b[2KRedis = \x1b[2K Redis
        \x1b(BRedis = \x1b(B Redis
        \x9b31mRedis\x9b0m = \x9b31m Redis \x9b0m
        \x1b]0;title\x07Redis = \x1b]0;title\x07 Redis
        \x1b]8;;https://x.y\x1b\Redis\x1b]8;;\x1b\ = \x1b]8;;https://x.y\x1b\ Redis \x1b]8;;\x1b\
        https://x.y\x1b[0m = https://x.y \x1b[0m
        ^[[31mRedis^[[0m = ^[[31m Redis ^[[0m
        ␛[31mRedis␛[0m = ␛[31m Redis ␛[0m
        \033[1mRedis\033[0m = \033[1m Redis \033[0m
        \e[01;31mRedis\e[m = \e[01;31m Redis \e[m
        \u001b[31mRedis\u001b[39m = \u001b[31m Redis \u001b[39m
        #033[31mRedis#033[0m = #033[31m Redis #033[0m
        [31mRedis[0m: = [31m Redis [0m :
        ERROR[0m = ERROR [0m
        rate(x[5m]) = rate ( x [ 5m ] )
        [5m:10s] = [ 5m : 10s ]
        [5m30s] = [ 5m30s ]
        [5ms] = [ 5ms ]
        [mysql] = [ mysql ]
        arr[0] = arr [ 0 ]
    """,
    "code": r"""
        foo() = foo()
        foo(). = foo() .
        foo(bar) = foo ( bar )
        obj.foo(x).bar() = obj.foo ( x ) .bar()
        List<String> = List <String>
        Map<String,Integer> = Map < String , Integer >
        std::vector = std::vector
        a->b = a -> b
        a=>b = a => b
        x>=1 = x >= 1
        x!=y = x != y
        x&&y = x && y
        i++ = i++
        i+=1 = i += 1
        $HOME = $HOME
        $HOME/bin = $HOME / bin
        ${HOME} = $ { HOME }
        %PATH% = %PATH%
        %APPDATA%\npm = %APPDATA% \ npm
        --flag=value = --flag = value
        -v = -v
        -redis==4.5 = - redis == 4.5
        -rw-r--r-- = -rw-r --r --
        u'Redis' = u ' Redis '
        {b'7.2':r'Redis'} = { b ' 7.2 ' : r ' Redis ' }
        r's = r 's
        arr[0] = arr [ 0 ]
        @Override = @Override
        #include<stdio.h> = # include <stdio.h>
        #!/bin/bash = # ! /bin/bash
        {"a":"b"} = { " a " : " b " }
        "text":"a\nRedis\tNginx" = " text " : " a \n Redis \t Nginx "
        \u003cRedis\u003e = \u003c Redis \u003e
        foo\bar = foo \ bar
        key=value = key = value
        **kwargs = ** kwargs
        0xdeadbeef = 0xdeadbeef
    """,
    "exceptions and packages": """
        java.lang.NullPointerException = java.lang.NullPointerException
        java.lang.OutOfMemoryError:Java = java.lang.OutOfMemoryError : Java
        (java.io.IOException) = ( java.io.IOException )
        DFSClient.read(DFSClient.java:123) = DFSClient.read ( DFSClient.java : 123 )
        com.foo.Bar$BazException: = com.foo.Bar$BazException :
        com.foo.Bar$1.run(Bar.java:7) = com.foo.Bar$1.run ( Bar.java : 7 )
        foo.NullPointerException@1a2b = foo.NullPointerException @ 1a2b
        Errno::ENOENT = Errno::ENOENT
        SIGSEGV(11) = SIGSEGV ( 11 )
        SIGSEGV/SIGABRT = SIGSEGV / SIGABRT
        'ValueError' = ' ValueError '
        TS2304: = TS2304 :
        ORA-00942: = ORA - 00942 :
        ERR_CONNECTION_REFUSED = ERR_CONNECTION_REFUSED
        0x80070005 = 0x80070005
        404, = 404 ,
    """,
    "URLs, mail addresses, mentions and issues": """
        https://redis.io = https://redis.io
        https://redis.io/x.html#a?b=c&d=e, = https://redis.io/x.html#a?b=c&d=e ,
        (https://x.y) = ( https://x.y )
        https://x.y/Foo_(bar) = https://x.y/Foo_(bar)
        (https://x.y/Foo_(bar)) = ( https://x.y/Foo_(bar) )
        &lt;https://x.y&gt; = &lt; https://x.y &gt;
        https://x.y|Redis = https://x.y | Redis
        https://x.y。 = https://x.y 。
        http://a.b/c?d=1. = http://a.b/c?d=1 .
        www.redis.io, = www.redis.io ,
        s3a://bucket/key = s3a://bucket/key
        jdbc:mysql://localhost:3306/db = jdbc : mysql://localhost:3306/db
        https:// = https : //
        localhost:8080 = localhost : 8080
        a.b+c@d.co.uk, = a.b+c@d.co.uk ,
        <a@b.com> = < a@b.com >
        mailto:a@b.com = mailto : a@b.com
        git@github.com:foo/bar.git = git@github.com : foo / bar.git
        @user, = @user ,
        @user's = @user 's
        #123, = #123 ,
        (#123) = ( #123 )
        org/repo#123 = org / repo #123
        HDFS-14000 = HDFS - 14000
    """,
    "paths": r"""
        /usr/bin/python3 = /usr/bin/python3
        /etc/hosts. = /etc/hosts .
        /etc/hosts:ro = /etc/hosts : ro
        ~/.bashrc = ~/.bashrc
        ../a/b.c = ../a/b.c
        src/main/java/foo.java, = src/main/java/foo.java ,
        src/foo.c:12 = src / foo.c : 12
        C:\Windows\System32\x.dll: = C:\Windows\System32\x.dll :
        "C:\Program = " C:\Program
        C:/foo/bar = C:/foo/bar
        C:\x\Foo.cs:line = C:\x\Foo.cs : line
        \\server\share\file = \\server\share\file
        package.json = package.json
        *.txt = * .txt
        /foo/*.txt = /foo/ * .txt
    """,
    "contractions": """
        it's = it 's
        it’s = it ’s
        don't = do n't
        don’t. = do n’t .
        I'LL = I 'LL
        we've, = we 've ,
        "it's" = " it 's "
        Redis's = Redis 's
        IE8's = IE8 's
        foo()'s = foo() 's
        C++'s = C++ 's
        users' = users '
        shouldn't've = should n't 've
        O'Reilly = O'Reilly
        'Redis's = ' Redis 's
    """,
    "abbreviations, numbers, dates and times": """
        e.g. = e.g .
        U.S.A., = U.S.A . ,
        10,000 = 10,000
        1,234.56 = 1,234.56
        50%, = 50% ,
        an% = an %
        1/2 = 1 / 2
        4GB, = 4GB ,
        $5 = $5
        €5 = € 5
        -1.5 = -1.5
        1e-5 = 1e-5
        10...20 = 10 ... 20
        2021-01-02 = 2021-01-02
        01/02/2021 = 01 / 02 / 2021
        16:38:12,345 = 16:38:12,345
        2021-01-02T16:38:12Z = 2021-01-02T16:38:12Z
        2021-01-02T16:38:12.345+01:00] = 2021-01-02T16:38:12.345+01:00 ]
    """,
    "addresses and encoded data": """
        127.0.0.1:8080, = 127.0.0.1:8080 ,
        10.0.0.0/8 = 10.0.0.0 / 8
        fe80::1 = fe80::1
        [2001:db8::1]:8080 = [ 2001:db8::1 ] : 8080
        2001:0db8:0000:0000:0000:ff00:0042:8329 = 2001:0db8:0000:0000:0000:ff00:0042:8329
        00:1A:2B:3C:4D:5E = 00:1A:2B:3C:4D:5E
        00-1a-2b-3c-4d-5e. = 00-1a-2b-3c-4d-5e .
        123e4567-e89b-12d3-a456-426614174000 = 123e4567-e89b-12d3-a456-426614174000
        d41d8cd98f00b204e9800998ecf8427e = d41d8cd98f00b204e9800998ecf8427e
        sha256:abcdef12 = sha256 : abcdef12
    """,
    "emoji, marks and other scripts": """
        Redis🙂 = Redis 🙂
        🙂Redis = 🙂 Redis
        Redis👨‍👩‍👧 = Redis 👨‍👩‍👧
        Redis👍🏽! = Redis 👍🏽 !
        Redis🇩🇪 = Redis 🇩🇪
        1️⃣Redis = 1️⃣ Redis
        Redis❤️ = Redis ❤️
        •Redis = • Redis
        Redis™ = Redis ™
        cafe\u0301, = cafe\u0301 ,
        हिन्दी। = हिन्दी ।
        Ｒｅｄｉｓ，Ｎｇｉｎｘ = Ｒｅｄｉｓ ， Ｎｇｉｎｘ
        （Redis） = （ Redis ）
        「Redis」。 = 「 Redis 」 。
        مرحبا، = مرحبا ،
        שָׁלוֹם. = שָׁלוֹם .
        Straße. = Straße .
        Re\u00addis = Re\u00addis
        Redis\u200b, = Redis ,
        (日本), = ( 日 本 ) ,
        １．２５ = １．２５
        ①Redis② = ① Redis ②
        Redis² = Redis ²
        ה-Redis = ה - Redis
        ה־Redis, = ה ־ Redis ,
        الRedis = ال Redis
        Redisमें = Redis में
        Redis-кластер = Redis - кластер
        nginx/1.25-сервер = nginx / 1.25 - сервер
        что-то = что-то
        Сhrome = Сhrome
    """,
}


def _rows() -> Iterator[tuple[str, str, list[str]]]:
    for kind, rows in CASES.items():
        for row in rows.strip().splitlines():
            chunk, _, expected = row.strip().partition(" = ")
            if kind.startswith(("emoji", "terminals")):
                chunk, expected = (
                    text.replace("\\u0301", "\u0301")
                    .replace("\\u00ad", "\u00ad")
                    .replace("\\u200b", "\u200b")
                    .replace("\\x1b", "\x1b")
                    .replace("\\x9b", "\x9b")
                    .replace("\\x07", "\x07")
                    for text in (chunk, expected)
                )
            yield kind, chunk, expected.split(" ")


@pytest.mark.parametrize(
    ("kind", "chunk", "expected"), _rows(), ids=lambda value: ascii(value)[:40]
)
def test_a_chunk_is_cut_where_names_begin_and_end(
    kind: str, chunk: str, expected: list[str]
) -> None:
    assert pieces(chunk) == expected, kind


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_a_mark_is_one_piece(name: str) -> None:
    assert pieces(name) == [name]
    assert pieces(f"({name},") == ["(", name, ","]
    assert pieces(f"{name}s") != [f"{name}s"] or "/" not in name


def test_names_in_minified_data_are_found() -> None:
    row = '{"name":"Redis","version":"7.2.1","os":"Ubuntu"},'
    chunk = f"[{row * 300}]"
    assert len(chunk) > 3 * LONGEST_CUT
    found = pieces(chunk)
    assert "".join(found) == chunk
    assert [found.count(name) for name in ("Redis", "7.2.1", "Ubuntu")] == [300] * 3


@pytest.mark.parametrize("unit", ["Grafana=", "Grafana&", "Grafana:"])
def test_a_long_chunk_is_parted_between_words(unit: str) -> None:
    chunk = "x" + unit * (3 * LONGEST_CUT // len(unit))
    assert {part[-1:] for part in CHUNK.findall(chunk)} == {unit[-1]}
    assert pieces(chunk).count("Grafana") == chunk.count("Grafana") - 1


FAILURES = {
    "an exception": (
        "org.hibernate.LazyInitializationException",
        ["org.hibernate.LazyInitializationException"],
    ),
    "a server": ("caddy/2.7", ["caddy", "2.7"]),
    "a coordinate": ("okio:1.17.5", ["okio", "1.17.5"]),
    "an OS after a version": ("9.0/PixelExperience", ["9.0", "PixelExperience"]),
    "a requirement": ("scipy==1.11.4", ["scipy", "1.11.4"]),
    "a list": ("Kafka,Envoy", ["Kafka", "Envoy"]),
    "HTML": ("<code>Kafka</code>", ["Kafka"]),
    "strong Markdown": ("**Kafka**", ["Kafka"]),
    "a link": ("[Kafka](https://kafka.example/docs)", ["Kafka"]),
    "a name with a hyphen": ("K-Meleon", ["K-Meleon"]),
    "a device with a number": ("Pixel 6", ["Pixel", "6"]),
    "code": ("`Kafka`", ["Kafka"]),
    "strong code": ("**`Kafka`**", ["Kafka"]),
    "a table": ("|Kafka|3.6|", ["Kafka", "3.6"]),
    "an entity of HTML": ("&lt;Kafka&gt;", ["Kafka"]),
    "a User-Agent": ("Vivaldi/6.5.3206", ["Vivaldi", "6.5.3206"]),
    "a version after a name": ("Perl5.38", ["Perl", "5.38"]),
    "full-width marks": ("（Kafka，3.6）", ["Kafka", "3.6"]),
    "a struck name": ("-kafka-", ["kafka"]),
    "an inserted name": ("+kafka+", ["kafka"]),
    "code of Textile": ("@kafka@", ["kafka"]),
    "strong and oblique Markdown": ("___kafka___", ["kafka"]),
    "a color": ("\x1b[1;31mKafka\x1b[0m", ["Kafka"]),
    "a color without its escape": ("[31mkafka[0m", ["kafka"]),
    "a private mode of a terminal": ("\x1b[?25lKafka", ["Kafka"]),
    "a link of a terminal": ("\x1b]8;;https://x.y\x1b\\Kafka\x1b]8;;\x1b\\", ["Kafka"]),
    "a requirement that was removed": ("-kafka==3.6", ["kafka", "3.6"]),
    "a string of Python 2": ("u'Kafka'", ["Kafka"]),
    "an item's number": ("①Kafka", ["Kafka"]),
    "a Hebrew prefix": ("ב-Kafka", ["Kafka"]),
    "a Russian compound": ("Kafka-кластер", ["Kafka"]),
    "a hidden character": ("\u200bKafka\u200b", ["Kafka"]),
}
"""Where the models before missed or mangled an entity: a text, and the names in it."""


@pytest.mark.parametrize(("text", "names"), FAILURES.values(), ids=list(FAILURES))
@pytest.mark.parametrize("sentence", ["{}", "Since {} it fails.", "({}),", "'{}'", "- {}: fails"])
def test_names_of_all_kinds_that_were_missed_are_pieces_of_their_own(
    text: str, names: list[str], sentence: str
) -> None:
    words = split_sentences(sentence.format(text))
    found = [word for sentence_words in words for word in sentence_words.texts]
    assert [word for word in found if word in names] == names


@pytest.mark.parametrize("length", [128, LONGEST_CUT, 3 * LONGEST_CUT])
def test_encoded_data_makes_few_pieces(length: int) -> None:
    data = ("SGVs/bG8+gV29ybGQ" * length)[:length]
    assert len(pieces(f"data:image/png;base64,{data}==")) <= 12 + 4 * length // LONGEST_CUT


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5), st.integers(2000, 6000))
def test_a_long_chunk_keeps_all_and_its_pieces_stay_whole(parts: list[str], repeats: int) -> None:
    chunk = "".join(parts) * repeats
    found = pieces(chunk)
    assert visible("".join(found)) == visible(chunk)
    for piece in set(found):
        assert pieces(piece) == [piece]


def test_what_is_remembered_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "_known", {})
    monkeypatch.setattr(cutting, "KNOWN_CHUNKS", 10)
    for number in range(40):
        cut(f"a/{number}")
        assert len(cutting._known) <= 10
    cutting._known.clear()
    cut("a," * KNOWN_CHUNK_PIECES)
    cut("x-" + "y" * KNOWN_CHUNK_CHARACTERS)
    assert cutting._known == {}


def test_no_pair_of_marks_is_slow() -> None:
    chunks = [
        (first + second) * (LONGEST_CUT // 2) for first, second in product(MARKS + "a0é", repeat=2)
    ]
    with limit_cpu_time(20):
        for chunk in chunks:
            cut(chunk)


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "a/",
            "$a",
            "a.",
            "a-",
            "_a",
            "a_",
            "<a",
            "@a",
            "a@",
            "/a",
            "A/",
            "~/",
            "\\a",
            "0:",
            "0-",
        ),
        *("a" * 60 + "$", "$a" * 32 + "/" + "x" * 500, "http://", "&a", "%a", "a'", "__", "A1v"),
        *("a:\\", "1.", "é\u0301", "🙂\u200d", "\u200da", "://", "_A_", "Ab/" * 15 + "x", "ctrl+"),
    ],
    ids=ascii,
)
def test_time_is_linear_in_the_length(unit: str) -> None:
    chunk = (unit * 200_000)[:200_000]
    with limit_cpu_time(2):
        covered = sum(end - start for start, end in cut(chunk))
    assert len(chunk) - 100 <= covered <= len(chunk)  # hidden characters are left out


def test_every_character_is_kept() -> None:
    for first in range(0, 0x20000, 1000):
        chunk = "".join("a".join(map(chr, range(first, first + 1000))).split())
        assert visible("".join(pieces(chunk))) == visible(chunk)
