r"""Find the parts of issues, mails and comments that are no prose, so that they can be left out.

The rules are the tables :data:`BLOCK_RULES` and :data:`INLINE_RULES`, tried in their order: what
one rule took, the later ones do not see. Code blocks, stack traces and bare links are those of
:mod:`ner_mlflow.tagging.regions`. Each rule takes time linear in the text: repetitions are
possessive or bounded, and a pattern that looks far ahead stops where the next match could begin.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ..tagging.regions import RULES as REGION_RULES
from ..tagging.regions import compile_parts, find_regions
from .documents import language_words

COMMENT, CODE_BLOCK, STACK_TRACE, BARE_LINK = "html_comment", "code_block", "stack_trace", "link"
URL = "url"
"""The kind of region that a bare link is."""
TAKEN = "\ufffc"
"""What later rules see in place of each character that a rule took."""


class Removed(NamedTuple):
    """A range that leaves, in code points, end exclusive, and the rule that it leaves by."""

    start: int
    end: int
    rule: str


class Cleaning(NamedTuple):
    """The ranges of a text that stay and those that leave.

    Together they are the whole text. Each list is sorted, and no range is empty or overlaps
    another.
    """

    kept: tuple[tuple[int, int], ...]
    removed: tuple[Removed, ...]


class Rule(NamedTuple):
    """One way to write what is no prose; several rules may share a name, and so a counter.

    A text that contains no string of ``needs`` has no match, and the pattern is not tried. A match
    leaves, or its group ``x`` (and ``y``) if the pattern has one.
    """

    name: str
    needs: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(name: str, needs: tuple[str, ...], *parts: str) -> Rule:
    return Rule(name, needs, compile_parts(*parts))


def _any(*phrases: str) -> str:
    return "(?:" + "|".join(phrases) + ")"


_BLANKS = r"[ \t\r]*+"
_END = rf"{_BLANKS}(?:\n|\Z)"
_LINE = r"[^\n]*+"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"\d{1,2}:\d{2}:\d{2}"
_DATE = r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})"
_ZONE = r"(?:[.,:]\d{1,9})?(?:Z|[ ]?[+-]\d{2}:?\d{2}|[ ](?:UTC|GMT))?"
_LEVELS = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL)"
_LEVEL = rf"(?:{_LEVELS}|trace|debug|info|notice|warn|warning|error|severe|critical|fatal)"

# What begins a line of a log. A level alone does not: `ERROR: no such file` may be a sentence.
_LOG_STARTS = _any(
    # 2021-09-08T00:21:11.596Z, [08/Sep/2021:00:21:11 +0000], 21/09/08 00:21:11
    rf"[\[(<]?{_DATE}(?:[ T_,-]|[ ]-[ ]){{1,2}}{_CLOCK}{_ZONE}(?![\w.])"
    r"(?![ ](?:after|and|before|i|I|is|it|the|was|we|when)[ ])",
    rf"\[?\d{{1,2}}[/ -]{_MONTH}[/ -]\d{{2,4}}[: ]{{1,2}}{_CLOCK}",
    # Sep  8 00:21:11 host daemon[12]:, [Wed Oct 11 14:32:52 2000]
    rf"[\[(]?(?:{_DAY},?[ ]{{1,2}})?{_MONTH}[ ]{{1,2}}\d{{1,2}},?[ ](?:\d{{4}}[ ])?{_CLOCK}",
    # 09-08 00:21:11.596 of logcat, 00:21:11.596, [00:21:11], 00:21:11 INFO
    rf"\d{{2}}-\d{{2}}[ ]{_CLOCK}\.\d{{3}}",
    rf"\[{_CLOCK}(?:[.,:]\d{{1,9}})?(?:[ ][AP]M)?\](?![ ]{{1,2}}<[\w-]{{1,40}}>)",  # not of a chat
    rf"{_CLOCK}(?:[.,]\d{{3,9}}\b|[ ]{{1,3}}[\[(|]?{_LEVELS}\b)",
    r"\[[ ]{0,8}\d{1,9}\.\d{3,9}\]",  # [   12.345678] of the kernel
    rf"{_LEVELS}[ ]{{1,5}}(?:\[|\(|{_DATE}|{_CLOCK}|\w{{1,40}}\.[\w.$]{{1,200}}:)",
    rf"{_LEVELS}:(?:[ ]{{3,9}}|[A-Za-z_][\w.]{{0,100}}:)",  # of uvicorn, of Python's logging
    r"[IWEF]\d{4}[ ]\d{2}:\d{2}:\d{2}\.\d{3}",  # glog
    r"[VDIWEF]/[\w.$-]{3,60}(?:[ ]{0,6}\([ ]{0,6}\d{1,7}\))?:[ ]",  # logcat; `I/O: ` is none
    r"(?:npm|yarn|pnpm)[ ](?:ERR!|WARN|verb)[ ]",
    r"(?:\d{1,3}\.){3}\d{1,3}[ ][^\s]{1,60}[ ][^\s]{1,60}[ ]\[",  # access logs
    r"\#\d{1,3}[ ]\d{1,4}\.\d{1,4}[ ]",  # steps of builds: #13 11.28
)
# The same where it is not the first line: a title may be `[ERROR] Redis crashes`.
_LOG_STARTS_BELOW = _any(
    rf"\[{_LEVEL}[ ]{{0,5}}\]",
    rf"(?:\[[\w.:/ -]{{1,40}}\][ ]?){{1,3}}{_LEVELS}\b",  # [main] INFO
    rf"{_LEVELS}[ ]-[ ](?=[\w$]{{0,100}}[.:_\[/\d])",
    r"\[\d{1,5}/\d{2,5}\][ ]",
)

# Headings of templates for issues, in lower case and without marks at their end.
_OF_BUG = r"(?: (?:of )?(?:the|this|your) (?:behaviou?r|bug|change|error|feature|issue|problem))?"
_TEMPLATE_HEADINGS = _any(
    # What to describe
    rf"(?:please )?(?:briefly )?describe{_OF_BUG}(?: request)?",
    r"describe (?:the solution you'd like|alternatives you've considered)",
    r"is your feature request related to a problem(?:\? please describe)?",
    rf"(?:(?:the|a|bug|issue|problem|brief|short|detailed|general) ){{0,3}}description{_OF_BUG}",
    rf"(?:brief |short )?(?:summary|overview){_OF_BUG}",
    # How to see it
    rf"(?:minimal )?(?:how |steps? )?to reproduce{_OF_BUG}",
    r"reproduction(?: steps| link)?|repro(?: steps)?|steps",
    r"(?:minimal )?reproduc(?:ible|ing) (?:example|steps|code|test case)",
    r"how (?:can we|do we) reproduce (?:it|this|the (?:issue|bug|problem))[^\n]{0,60}",
    # What came out
    r"(?:the |your )?(?:actual |current |desired |expected |observed |possible |suggested )?"
    r"(?:vs\.? )?(?:behaviou?r|fix|implementation|outcome|output|results?|screenshots?|solution)",
    r"what (?:did you (?:do|see)|went wrong|should have happened|you expected to happen)"
    r"(?: instead)?",
    r"what (?:actually )?happen(?:ed|s)(?: instead)?",
    r"what did you expect(?: to (?:see|happen))?(?: instead)?",
    r"what is the (?:actual|bug|current|expected|problem)(?: behaviou?r)?",
    r"what version [^\n]{1,40} are you using",
    # What else there is to say
    r"(?:additional|any other|extra|further|more|other|relevant|useful)"
    r" (?:comments|context|data|details|info|information|logs?(?: output)?|notes?)"
    r"(?: (?:and|or|&) [^\n]{1,40})?",
    r"anything else(?: (?:to|we|you) [^\n]{1,40})?",
    r"(?:relevant )?(?:console|debug|error|log|stack|terminal) ?"
    r"(?:files?|logs?|messages?|output|trace)",
    r"(?:debug|platform|software|system|test|version|your)"
    r" (?:details|environment|info|information)",
    # Single words
    r"alternatives(?: considered)?|browser(?: version)?|context|desktop|details|device|environment",
    r"frequency|impact|logs?|motivation|notes?|operating system|os|platform|problem",
    r"pre-?requisites?|proposal|references?|related issues?|severity|smartphone",
    r"tasks?|to-?do|versions?(?: used)?|workarounds?",
    r"acceptance criteria|bug(?: report)?|checklist|contact details",
    r"contribution|issue|code of conduct|feature request|how has this been tested",
    r"preflight checklist|question",
    r"searched existing issues|types? of changes?",
)
_PHRASE = rf"(?i:{_TEMPLATE_HEADINGS})(?: \([^()\d\n]{{1,80}}\))?[ ]{{0,2}}[?:.!…*_]{{0,4}}"
_EMOJI = r"(?:[^\w\s#*_`<>\[\](){}|$@\"'\ufffc]{1,4}[ ]{1,2}|:\w{2,30}:[ ]?)?"

# What the boxes of templates assert; a task of the author, `- [ ] Port it to Qt 6`, stays.
_BOXES = _any(
    r"(?:yes[,:]? )?(?:i|i'm|i've|i'd|my|you|your)\b",
    r"(?:this|that|the) (?:issue|bug|change|code|feature|is|isn't|has|does|pr|pull request|problem"
    r"|request)\b",
    r"(?:searched|read|reviewed|verified|confirmed|make sure|ensure|please)\b",
    r"(?:checked|tested) (?:existing|for|if|locally|my|that|the|this|with the latest)\b",
    r"(?:bug(?: ?fix| report)?|(?:new )?feature(?: request)?|enhancement|improvement|question"
    r"|documentation(?: update)?|docs|breaking change|refactor(?:ing)?|regression|performance"
    rf"|tests?|other|yes|no|none)(?:[ ]?\([^\n]{{0,120}}\)?)?[.:,]?[*_]{{0,3}}{_BLANKS}$",
)

# The line above a quoted mail in German, French, Spanish, Italian and Dutch.
_ATTRIBUTION = _any(
    r"Am[ ][^\n]{4,200}?schrieb(?:en)?\b[^\n]{0,120}?",
    r"Le[ ][^\n]{4,200}?a[ ]écrit[ ]?",
    r"El[ ][^\n]{4,200}?escribió[ ]?",
    r"Il[ ][^\n]{4,200}?ha[ ]scritto[ ]?",
    r"Op[ ][^\n]{4,200}?schreef\b[^\n]{0,120}?",
)
_PEOPLE = r"(?:Reporter|Reported[ ]by|Assignee|Assigned[ ]to|Watchers|Votes|Voters)"
_STATES = (
    r"(?:(?:Priority|Severity):[ ]{0,3}(?i:P?[0-5]|S[0-5]|lowest|low|medium|normal|high|highest"
    r"|urgent|critical|blocker|major|minor|trivial|undecided|unspecified)"
    r"|(?:Status|Resolution|State):[ ]{0,3}(?i:new|open|opened|reopened|closed|resolved|fixed|done"
    r"|verified|unresolved|unconfirmed|confirmed|assigned|duplicate|invalid|incomplete|wontfix"
    r"|won't[ ]fix|works[ ]for[ ]me|worksforme|to[ ]do|in[ ]progress|triaged)"
    rf"|(?:Created|Updated|Opened|Closed|Resolved)(?:[ ]on)?:[ ]{{0,3}}(?:{_DAY}\w{{0,6}},?[ ])?"
    rf"(?:{_DATE}|\d{{1,2}}[/ ]{_MONTH}|{_MONTH}\w{{0,6}}[ ]\d)[^\n]{{0,40}})"
)
_MAIL_HEADER = (
    r"(?:From|Sent|Date|To|Cc|CC|Bcc|Subject|Reply-To|Message-I[dD]|In-Reply-To|References"
    r"|Importance|Attachments)"
)
# What bots, importers and mail programs write, a line each.
_BOILERPLATE = _any(
    r"This (?:issue|pull request|PR|bug|thread|question) (?:has been|was|is being)"
    r" (?:automatically|auto)[ -](?:marked|closed|locked|labell?ed)[^\n]*+",
    r"This (?:issue|pull request|PR) is stale because[^\n]*+",
    r"You are receiving this (?:mail|email|because)[^\n]*+",
    r"Reply to this email directly[^\n]*+",
    r"(?:Unsubscribe|To unsubscribe) from (?:this|these)[^\n]*+",
    r"Get \[?Outlook for (?:iOS|Android)[^\n]{0,60}",
    r"Sent from (?:my|Mail for|Yahoo|Outlook|Proton ?Mail|a mobile|Gmail|Samsung|BlueMail)\b"
    r"[^\n]{0,40}",
    r"Sent (?:via|with) (?:my|BlackBerry|Gmail|Proton ?Mail|Airmail)\b[^\n]{0,40}",
    r"Original (?:issue|comment|report)(?: reported on [\w.]{1,40})? by [^\n]{1,80}",
    r"(?:Copied|Migrated|Imported|Moved|Transferred) from (?:original issue: )?"
    r"(?:https?://|\[|[\w.-]{1,80}/[\w.-]{1,80}\#)[^\s]{0,300}",
    r"From \[?(?:@|username_)[^\n]{1,120} on [^\n]{1,60}\d{4}[^\n]{0,20}",
    r"(?:Signed-off-by|Co-authored-by|Reviewed-by|Acked-by|Tested-by|Change-Id): [^\n]*+",
)

# `@name`s that notify nobody: annotations, decorators, rules of CSS, tags of comments.
_NO_MENTIONS = _any(
    r"(?:abstractmethod|author|autowired|available|bean|before|beforeeach|after|aftereach"
    r"|beforeclass|afterclass|api|apply|async|async_timeout|cached_property|charset|classmethod"
    r"|click|code|column|component|composable|configuration|contextmanager|controller"
    r"|customelement|data|dataclass|default|deprecated|directive|document|enablewebmvc|entity"
    r"|enum|event|example|experimental|extend|extends|file|font-face|fixture|functionalinterface"
    r"|generatedvalue|getmapping|hostbinding|hostlistener|id|ignore|import|include|inject"
    r"|injectable|input|interface|internal|jsonignore|jsonproperty|joincolumn|keyframes|layer"
    r"|link|lombok|mainactor|manytoone|media|memoize|mixin|mock|model|module|namespace|ngmodule"
    r"|nonnull|nonnullable|notnull|nullable|objc|observable|onetomany|output|override|param"
    r"|parameterized|parametrize|patch|path|pathvariable|pipe|postconstruct|postmapping|primary"
    r"|private|profile|property|protected|public|published|qualifier|query|readonly|repository"
    r"|requestbody|requestmapping|requestparam|requires|rest|restcontroller|return|returns"
    r"|safevarargs|scheduled|schema|see|service|serializable|setter|shared_task|since|singleton"
    r"|slf4j|springbootapplication|state|staticmethod|supports|suppresswarnings|tailwind|task"
    r"|template|test|testonly|throws|todo|transactional|transient|type|typedef|use|valid|value"
    r"|version|viewchild|viewport|visibleforTesting|volatile|wraps)",
    r"(?:latest|next|beta|alpha|canary|stable|nightly|rc|dev|master|main|HEAD|\d[\w.-]*+)",
)

_OF_CODE = r"(?:annotation|attribute|decorator|directive|handler|macro|property|tag|wrapper)s?"
"""What stands behind a name with @ that is one of code, and notifies nobody."""

_FENCES = "|".join(
    f"(?:{rule.pattern.pattern})"
    for rule in REGION_RULES
    if rule.kind == CODE_BLOCK and "region" not in rule.pattern.groupindex
)
# A fence within a comment opens no block, and a comment within a block is code: what begins first
# counts. A comment that is not closed is none.
_COMMENT_OR_FENCE = compile_parts(rf"(?P<x><!--(?:[^<-]++|<(?!!--)|-(?!->))*+-->)|{_FENCES}")
FEWEST_PROSE_WORDS, LEAST_COMMON_SHARE = 8, 0.25
"""An indented block with so many words, of which such a share are common in English, is prose."""
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_CODE_MARK = re.compile(r"[{}=<>|]|`{3}|;[ \t]*$|\w\(|^[ \t]*[$#@+-]", re.MULTILINE)
_NO_BREAK = re.compile(r"[^\n]")
_RUN = re.compile(rb"(.)\1*+", re.DOTALL)
_INLINE_CODE = re.compile(r"(?<!`)(`{1,3})(?!`)[^`\n]{1,300}+\1(?!`)")

BLOCK_RULES: Final = (
    _rule(
        "mail",
        ("wrote:", "writes:"),
        rf"^[ \t>]*+On[ ](?=[^\n]{{0,200}}?(?:{_DAY}[a-z]{{0,6}},|\d[ ,]{{1,2}}{_MONTH}|{_MONTH}"
        rf"[a-z]{{0,6}}\.?[ ]\d|\d{{1,4}}[/-]\d{{1,2}}[/-]\d{{1,4}}))[^\n]{{4,200}}?",
        rf"(?:\n[^\n]{{1,80}}?)?\b(?:wrote|writes):{_END}",
    ),
    _rule(
        "mail",
        ("Original Message", "Forwarded", "Original Appointment"),
        r"^[ \t>]*+-{2,20}[ ]?(?:Original Message|Forwarded [Mm]essage|Original Appointment)",
        rf"[ ]?-{{2,20}}{_END}",
    ),
    _rule(
        "mail",
        (":",),
        rf"(?:^[ \t>*]*+{_MAIL_HEADER}:[ *]{_LINE}(?:\n|\Z)){{3,}}+",
    ),
    _rule(
        "mail",
        ("schrieb", "écrit", "escribió", "scritto", "schreef"),
        rf"^[ \t>]*+{_ATTRIBUTION}:{_END}",
    ),
    _rule(
        "quote",
        (">", "&gt;"),
        # A line such as `> 100 users` alone is no quote.
        r"^(?![ \t]*+(?:>|&gt;)[ ]?\d[\d.,]{0,12}[ ]?(?:%|[A-Za-z])[^\n]*+",
        r"(?:\Z|\n(?![ \t]*+(?:>|&gt;))))",
        rf"(?:^[ \t]*+(?:>(?!=)|&gt;){_LINE}(?:\n|\Z))++",
    ),
    _rule("quote", ("bq. ",), rf"^bq\.[ ]{_LINE}(?:\n|\Z)"),
    _rule("quote", ("{quote}",), r"\{quote\}(?:[^{]++|\{(?!quote\}))*+\{quote\}"),
    _rule(
        "diff",
        ("@@ ", "diff --git "),
        r"(?:^(?:diff[ ]--git[ ]|index[ ][0-9a-f]{7,40}\.\.|---[ ]|\+\+\+[ ])",
        rf"{_LINE}(?:\n|\Z))*+",
        rf"(?:^@@[ ]-\d{{1,9}}[^\n]{{0,60}}@@{_LINE}(?:\n|\Z)(?:^[ +\\-]{_LINE}(?:\n|\Z))*+)++",
    ),
    _rule(
        "command",
        ("$ ", "# ", "PS ", ":\\"),
        # Of a shell, behind its prompt.
        r"(?:^[ \t]*+(?:\$[ ](?=[a-z./~])|\[?[\w.-]{1,40}@[\w.-]{1,60}[: ][^\s$#]{0,100}[$#][ ]"
        rf"|(?:PS[ ])?[A-Z]:\\[^>\n]{{0,200}}>){_LINE}(?:\n|\Z))++",
    ),
    _rule(
        "table",
        ("|",),
        r"^(?=[^\n|]*+\|)[^\n]*+\n(?=[^\n|]*+\|)[ \t]*+\|?[ \t]*+:?-++:?[ \t]*+",
        rf"(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?{_BLANKS}$(?:\n(?=[^\n|]*+\|){_LINE})*+",
    ),
    _rule(
        "table",
        ("|", "+-", "+="),
        # Lines from bar to bar, as clients of databases and Jira write them.
        rf"(?:^[ \t]*+(?:\+[-=+]{{2,}}+|\|(?=[^\n]*\|{_BLANKS}$){_LINE}){_END}){{2,}}+",
        rf"|^[ \t]*+\|\|(?=[^\n]*\|{_BLANKS}$){_LINE}",
    ),
    _rule(
        "table",
        ("<",),
        r"(?i:<table\b[^<>]{0,500}>(?:[^<]++|<(?!/?table\b))*+</table>)",
    ),
    _rule("log", (" ", ":", "["), rf"(?:^[ \t|]*+{_LOG_STARTS}{_LINE}(?:\n|\Z))++"),
    _rule(
        "log",
        (" ", ":", "["),
        rf"(?<=\n)(?:[ \t|]*+(?:{_LOG_STARTS_BELOW}|{_LOG_STARTS}){_LINE}(?:\n|\Z))++",
    ),
    _rule(
        "checkbox",
        ("[ ]", "[x]", "[X]", "[]"),
        rf"(?:^[ \t]*+[-*+][ \t]++\[[ xX]?\][ \t]++[*_]{{0,3}}(?i:{_BOXES}){_LINE}(?:\n|\Z))++",
    ),
    _rule(
        "heading",
        ("#", "h"),
        rf"^[ ]{{0,3}}(?:\#{{1,6}}+|h[1-6]\.)[ \t]*+[*_]{{0,3}}{_EMOJI}(?:\d[.)][ ])?",
        rf"{_PHRASE}(?:[ ]\#{{1,6}}+)?{_END}",
    ),
    _rule(
        "heading",
        ("*", "__"),
        r"^[ \t]*+(?:\d[.)][ ])?(?P<mark>\*\*|__|\*)",
        rf"{_EMOJI}{_PHRASE}(?P=mark):?{_END}",
    ),
    _rule(
        "heading",
        ("**", "__"),
        # A question of a template before the answer on the same line; `**OS** Windows` stays.
        r"^[ \t]*+(?P<x>(?P<mark>\*\*|__)(?i:describe the (?:bug|issue|problem)"
        r"|(?:steps )?to reproduce|expected behaviou?r|actual behaviou?r|current behaviou?r"
        r"|additional context"
        r"|what happened|screenshots)[ ]?[?:.]?(?P=mark):?)(?=[ \t])",
    ),
    _rule("heading", ("No response",), rf"^[ \t]*+[_*]No response[_*]{_END}"),
    _rule(
        "header",
        (":",),
        rf"^[ \t*]*+(?:{_PEOPLE}:[ *]{{0,3}}(?:[^\s]{{1,40}}[ ]?){{0,4}}|{_STATES}){_END}",
    ),
    _rule("boilerplate", (" ",), rf"^[ \t]*+[_*]{{0,2}}{_BOILERPLATE}[_*]{{0,2}}{_END}"),
    _rule("signature", ("\u2014",), rf"^[ \t]*+\u2014{_END}"),
    _rule(
        "signature",
        ("-- ",),
        # As mail programs write it, with a blank: short lines at the end of the text.
        r"^-- [ \t\r]*+\n(?:[^\n]{0,80}(?:\n|\Z)){0,6}\s*+\Z",
    ),
)
"""The rules for whole lines, in their order; after HTML comments, code blocks and stack traces."""

INLINE_RULES: Final = (
    _rule("truncation_mark", ("[Truncated]",), r"\[Truncated\]"),
    _rule(
        "corpus_mark",
        ("<issue_",),
        r"<(?:issue_start|issue_comment|issue_closed)>",
    ),
    _rule(
        "image",
        ("!", "<img", "<IMG"),
        r"\[!\[[^\[\]\n]{0,200}\]\([^()\n]{0,999}\)\](?:\([^()\n]{0,999}\))?",
        r"|!\[[^\[\]\n]{0,300}\]\((?:[^()\n]|\([^()\n]{0,200}\)){0,999}\)|!\[[^\[\]\n]{1,200}\]\[[^\[\]\n]{0,99}\]",
        r"|(?<![\w!])![^\s!|]{1,200}\.(?:png|jpe?g|gif|bmp|svg|PNG|JPE?G)(?:\|[^!\n]{0,100})?!",
        r"|<(?:img|IMG)\s(?=[^<>]{0,999}(?i:src)=)[^<>]{0,1999}>",
    ),
    _rule(
        BARE_LINK,
        ("](",),
        # The text of a link stays.
        r"(?P<x>\[)(?!\])[^\[\]\n]{1,300}(?P<y>\]\((?:[^()\s]|\([^()\s]{0,200}\)){0,999}",
        r"(?:[ ]{1,3}[\"'][^\"'\n]{0,200}[\"'])?\))",
    ),
    _rule(
        BARE_LINK,
        ("|http", "|mailto:"),
        r"(?P<x>\[)[^\[\]|\n]{1,300}(?P<y>\|(?:https?://|mailto:)[^\[\]\s]{1,999}\])",
    ),
    _rule(
        BARE_LINK,
        ("]:",),
        r"^[ ]{0,3}\[[^\[\]\n]{1,99}\]:[ \t]++<?https?://[^\s]++",
        rf"(?:[ ][\"(][^\n]{{0,200}})?{_END}",
    ),
    _rule(BARE_LINK, ("<http", "<mailto:"), r"<(?:https?://|mailto:)[^<>\s]{1,2000}>"),
    # Tags of the layout of a comment. Others may be what the text is about: "an empty <td>".
    _rule("html_tag", ("<",), r"(?i:</?(?:details|summary|sup|sub|kbd)(?:\s[^<>]{0,200})?>)"),
    _rule("mention", ("username_",), r"(?<![\w@])@?username_\d{1,6}(?!\w)"),
    _rule("mention", ("[~",), r"\[~[^\[\]\n]{1,100}\]"),
    _rule(
        "mention",
        ("@",),
        rf"(?<![\w@/.`$+#:=\"'\\-])@(?!(?i:{_NO_MENTIONS})(?![\w-]))",
        rf"(?![\w-]{{1,40}}[ ]{_OF_CODE}\b)[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){{0,38}}+",
        r"(?![\w@/(]|\.\w)",
    ),
)
"""The rules within lines, in their order; they do not look into inline code."""

RULE_NAMES: Final = tuple(
    dict.fromkeys(
        (COMMENT, CODE_BLOCK, STACK_TRACE, *(rule.name for rule in (*BLOCK_RULES, *INLINE_RULES)))
    )
)
"""The names of all rules, each of which is a counter."""


def clean(text: str) -> Cleaning:
    """Return the ranges of a text that are prose and those that are not.

    Nothing leaves but what a rule matches. Lines leave with their line break. The text of a link
    stays where its address goes. Takes time linear in the text.
    """
    draft = _Draft(text)
    if "-->" in text:
        draft.take(COMMENT, _spans(_COMMENT_OR_FENCE, text))
    regions = find_regions(draft.visible)
    for kind in (CODE_BLOCK, STACK_TRACE):
        parts = [(part.start, part.end) for part in regions if part.kind == kind]
        draft.take(kind, [part for part in parts if not _is_indented_prose(draft.visible, *part)])
    draft.apply(BLOCK_RULES)
    draft.hide(match.span() for match in _INLINE_CODE.finditer(draft.visible))
    draft.apply(INLINE_RULES)
    links = [(part.start, part.end) for part in regions if part.kind == URL]
    draft.take(BARE_LINK, [span for span in links if draft.visible[span[0]] != TAKEN])
    return draft.finish()


def blank(text: str, cleaning: Cleaning) -> str:
    """Return the text with blanks in place of what leaves; line breaks and all offsets stay."""
    pieces: list[str] = []
    end = 0
    for removed in cleaning.removed:
        pieces += text[end : removed.start], _NO_BREAK.sub(" ", text[removed.start : removed.end])
        end = removed.end
    return "".join((*pieces, text[end:]))


def _is_indented_prose(text: str, start: int, end: int) -> bool:
    """Return whether a block is one by its indentation alone, and reads as sentences."""
    line = text.rfind("\n", 0, start) + 1
    if line == start or text[line:start].strip():
        return False
    block = text[start:end]
    words = [word.lower() for word in _WORD.findall(block)]
    common = sum(map(language_words("english").__contains__, words))
    return (
        len(words) >= FEWEST_PROSE_WORDS
        and common >= LEAST_COMMON_SHARE * len(words)
        and _CODE_MARK.search(block) is None
    )


class _Draft:
    """A text of which the rules take parts, one after the other.

    ``visible`` is the text with :data:`TAKEN` in place of what was taken or hidden; its line breaks
    stay.
    """

    def __init__(self, text: str) -> None:
        self.visible = text
        self._owners = bytearray(len(text))  # of each character: 0, or 1 + the place of a name

    def take(self, name: str, spans: Sequence[tuple[int, int]]) -> None:
        """Give the characters in sorted ranges to a rule, where none has taken them before."""
        owner = bytes((1 + RULE_NAMES.index(name),))
        for start, end in spans:
            self._owners[start:end] = self._owners[start:end].replace(b"\0", owner)
        self.hide(spans)

    def hide(self, spans: Iterable[tuple[int, int]]) -> None:
        """Make later rules blind to the characters in sorted ranges."""
        pieces: list[str] = []
        last = 0
        for start, end in spans:
            pieces += self.visible[last:start], _NO_BREAK.sub(TAKEN, self.visible[start:end])
            last = end
        if pieces:
            self.visible = "".join((*pieces, self.visible[last:]))

    def apply(self, rules: Iterable[Rule]) -> None:
        for rule in rules:
            if any(need in self.visible for need in rule.needs):
                self.take(rule.name, _spans(rule.pattern, self.visible))

    def finish(self) -> Cleaning:
        kept, removed = [], []
        for run in _RUN.finditer(self._owners):
            start, end = run.span()
            if owner := self._owners[start]:
                removed.append(Removed(start, end, RULE_NAMES[owner - 1]))
            else:
                kept.append((start, end))
        return Cleaning(tuple(kept), tuple(removed))


def _spans(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    """Return the ranges of the matches, or of their groups ``x`` and ``y``; none is empty."""
    groups = [pattern.groupindex[name] for name in ("x", "y") if name in pattern.groupindex] or [0]
    spans = (match.span(group) for match in pattern.finditer(text) for group in groups)
    return [(start, end) for start, end in spans if start < end]
