"""Write the made corpus of the tutorial: a Label Studio export, and tickets without labels.

usage: python -m scripts.tutorial_corpus [--check]

With --check the files are compared with what would be written, and a difference is an error.
"""

import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "tutorial"
LABELLED, UNLABELLED = FOLDER / "tickets.json", FOLDER / "new_tickets.jsonl"
LABELLED_TICKETS, UNLABELLED_TICKETS = 240, 40
SEED = 13

NAMES = {
    "DEVICE": (
        "ThinkPad T14,ThinkPad X1,Latitude 7440,EliteBook 840,MacBook Air,Surface Pro 9,"
        "LaserJet M404,OfficeJet 9010,Zebra ZD421,Catalyst 9300,ProLiant DL380,PowerEdge R740,"
        "Jabra Evolve2,Poly Studio,UltraSharp U2723,Docking Station WD22,iPhone 14,Galaxy Tab S9,"
        "Brother HL-L23#,EcoTank ET-28#,Dell P24#,Lenovo M9#q,Logitech C9#,ASA 55#,FortiGate #F"
    ),
    "APPLICATION": (
        "Outlook,Teams,Excel,SAP GUI,Firefox,Chrome,Citrix Workspace,AnyConnect,GlobalProtect,"
        "OneDrive,SharePoint,Power BI,Jira,Confluence,Acrobat,KeePass,Zoom,Notepad++,PuTTY,"
        "Toad,SQL Developer,VS Code,Photoshop,AutoCAD,ServiceNow,Slack,WinSCP,Visio,Word,"
        "Access,Pages,Numbers,Keynote,Project,Miro,Figma,Tableau,Qlik,Postman,IntelliJ,MobaXterm"
    ),
    "ERROR_CODE": (
        "0x8007####,0xC000####,ORA-#####,HTTP 50#,HTTP 40#,ERR_CONNECTION_RESET,"
        "ERR_NAME_NOT_RESOLVED,E_FAIL,49.4C0#,CAA2000#,AADSTS5####,RC=16##,SQLSTATE 080##,"
        "Event ID ##,E0#,code 80#,ECONNREFUSED,STATUS_ACCESS_DENIED,exit 13#,TNS-12##"
    ),
    "SITE": (
        "building #,room ##,room #.0#,the Leeds office,the Graz plant,Lyon warehouse,hall B,"
        "floor #,the Porto branch,gate ##,the Utrecht data centre,lab #,meeting room Elbe,"
        "Aarhus,Bilbao,Leeds,Graz,the Turin showroom,canteen west,reception north,A#.1##"
    ),
}
"""Entity type -> its names; # is a random digit. The last quarter of each list is rare."""
SENTENCES = (
    "{APPLICATION} does not start on my {DEVICE}.",
    "Since this morning {APPLICATION} shows {ERROR_CODE}.",
    "The {DEVICE} in {SITE} prints blank pages.",
    "My {DEVICE} is stuck with {ERROR_CODE} after the update.",
    "Nobody in {SITE} can open {APPLICATION}.",
    "{ERROR_CODE} when I save a file in {APPLICATION}.",
    "Please install {APPLICATION} and {APPLICATION} on the {DEVICE} at {SITE}.",
    "I tried {APPLICATION} on another {DEVICE}, same result: {ERROR_CODE}.",
    "We need a second {DEVICE} for {SITE}.",
    "The connection drops every ten minutes, the log of {APPLICATION} says {ERROR_CODE}.",
    "the {DEVICE} was moved from {SITE} to {SITE} last week",
    "Could you reset my {APPLICATION} password?",
    "{APPLICATION}: {ERROR_CODE} ({DEVICE}, {SITE})",
    "It worked before I updated {APPLICATION}.",
    "A colleague from {SITE} reports the same for {APPLICATION}.",
    "The screen of the {DEVICE} flickers whenever {APPLICATION} is open.",
    "Error {ERROR_CODE} again!",
    "Calls in {APPLICATION} have an echo with the {DEVICE}.",
    "{SITE} has no network since {ERROR_CODE} on the {DEVICE}.",
    "{APPLICATION} asks for a licence.",
    "Who takes care of {SITE}?",
    "I get {ERROR_CODE}, then {ERROR_CODE}.",
    "{DEVICE} broken, please replace.",
    "Access to {APPLICATION} was revoked, can I have access again?",
    "All teams in {SITE} work on the same project and need {APPLICATION}.",
    "The last pages of my report are missing, the numbers in it too.",
    "In other words, our teams cannot access the project folder.",
    "Please send me the exit code of the job, I think it was {ERROR_CODE}.",
    "The meeting room was empty, the hall as well.",
    "I have a new phone and a new laptop.",
    "My manager in {SITE} approved the project.",
    "{APPLICATION}, {APPLICATION} and {APPLICATION} are slow in {SITE}.",
    "{ANY} is down again.",
    "Problem with {ANY}",
    "The new {ANY} is slower than the old one, {ANY} was better.",
    "Is there a known issue with {ANY} and {ANY}?",
    "{ANY} / {ANY} / since monday",
    "We talked on the phone about {ANY}.",
    "{ANY} came up while I was in {ANY}",
    "Ticket for {ANY}: see the one for {ANY}.",
    "Nobody told us that {ANY} would be replaced by {ANY}.",
    "please check {ANY}, not {ANY}",
)
"""Sentences with the types of their names; ANY is a name of any type, which only its words tell."""
CLOSINGS = (
    "Thank you in advance.",
    "This is urgent, the month closes in # days.",
    "I have already restarted it # times.",
    "Other people are not affected.",
    "Please call me back before ## o'clock.",
    "No idea what changed.",
)
LOWERED = 0.3
"""Share of the names that the author of a ticket writes in lower case."""
RARE = 0.3
"""Share of the names that are taken from the rare ones."""
_SLOT = re.compile(r"\{(\w+)\}")
Region = tuple[int, int, str]


def ticket(generator: random.Random) -> tuple[str, list[Region]]:
    """Return the text of a ticket and its entities as (start, end, type), in code points."""
    text, regions = "", []
    for sentence in generator.sample(SENTENCES, generator.randint(1, 3)):
        text += " " if text else ""
        for part in re.split(r"(\{\w+\})", sentence):
            slot = _SLOT.fullmatch(part)
            value = part
            if slot:
                kind = generator.choice(list(NAMES)) if slot[1] == "ANY" else slot[1]
                value = _name(generator, kind)
                regions.append((len(text), len(text) + len(value), kind))
            text += value
    if generator.random() < 0.5:
        text += f" {_digits(generator, generator.choice(CLOSINGS))}"
    return text, regions


def _name(generator: random.Random, kind: str) -> str:
    names = NAMES[kind].split(",")
    common = len(names) * 3 // 4
    name = generator.choice(names[common:] if generator.random() < RARE else names[:common])
    name = _digits(generator, name)
    return name.lower() if generator.random() < LOWERED else name


def _digits(generator: random.Random, text: str) -> str:
    return re.sub("#", lambda _: str(generator.randint(1, 9)), text)


def _task(number: int, text: str, regions: list[Region]) -> dict[str, object]:
    result = [
        {
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "value": {"start": start, "end": end, "text": text[start:end], "labels": [kind]},
        }
        for start, end, kind in regions
    ]
    return {"id": number, "data": {"text": text}, "annotations": [{"result": result}]}


def _lines(generator: random.Random) -> Iterator[str]:
    for number in range(1, UNLABELLED_TICKETS + 1):
        yield json.dumps({"ticket": number, "text": ticket(generator)[0]}) + "\n"


def files() -> dict[Path, str]:
    """Return the text of each file by its path."""
    generator = random.Random(SEED)
    tasks = [
        json.dumps(_task(number, *ticket(generator))) for number in range(1, LABELLED_TICKETS + 1)
    ]
    return {
        LABELLED: "[\n" + ",\n".join(tasks) + "\n]\n",
        UNLABELLED: "".join(_lines(generator)),
    }


def main() -> None:
    """Write the files, or compare them."""
    stale = {
        path: text
        for path, text in files().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"{', '.join(map(str, stale))}: run python -m scripts.tutorial_corpus")
        return
    for path, text in stale.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
