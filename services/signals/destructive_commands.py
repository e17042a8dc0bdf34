"""Commands that destroy, in shells, databases, clouds and programs: the table that destructive calls are read by. Pure.

A pattern holds where a command begins: at the start of a text or a line, behind `;`, `&&`, `|`, `sudo`, and inside
what `bash -c`, `psql -c`, `ssh host` or `os.system(` are given. What stands inside a quotation or a sentence is none.
Every pattern is bounded, so a text takes time in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from services.signals.folding import lowered

_LONGEST: Final = 2000
"""Characters of one command that are looked at."""
_BEGINS: Final = re.compile(
    r"(?:^|[;&|({}\n`]|\b(?:sudo|doas|xargs|exec|env|then|do|else|nohup|time|nice|eval"
    r"|command)\b(?:\s+-[\w-]{1,20}){0,4}\s"
    r"|(?:^|\s)(?:-\w{0,4}[ce]|--command|--execute|--eval|-Command|eval|/c|/k)[\s=]{1,3}[\"']?"
    r"|\b(?:system|popen|Popen|run|call|check_call|check_output|exec|execute|executescript|execSync|spawn|spawnSync"
    r"|query"
    r"|raw|cursor|ssh [\w.@-]{1,80}|BEGIN|GO|EXEC(?:UTE)?(?: IMMEDIATE)?)[\s(\[]{1,4}f?[\"'`]{0,3})"
    r"[ \t\r]{0,40}",
    re.IGNORECASE | re.MULTILINE,
)
_PATH: Final = r"(?:/usr)?(?:/s?bin/)?"

SHELL: Final[Mapping[str, str]] = {
    # What wipes disks and systems.
    "disk": rf"{_PATH}(?:mkfs(?:\.\w{{1,10}})?|wipefs|blkdiscard|shred|diskutil (?:erase|partition)\w*)\s",
    "dd": rf"{_PATH}dd\b[^\n;|]{{0,200}}\bof=/dev/(?!null)",
    "device": r"(?:cat|echo|printf|yes|:)?[^\n;|]{0,80}>\s?/dev/(?:sd|hd|nvme|vd|xvd|mmcblk|disk)\w",
    "format": r"format(?:\.com)?\s+[a-z]:|(?:Format-Volume|Clear-Disk|Initialize-Disk|Remove-Partition)\b",
    "diskpart": r"diskpart\b|clean all\b|cipher\s+/w|vssadmin\s+delete|wbadmin\s+delete|wevtutil\s+cl\b",
    "windows": r"(?:del|erase)\s[^\n;|&]{0,80}/[sq]\b[^\n;|&]{0,80}/[sq]\b|(?:rd|rmdir)\s[^\n;|&]{0,80}/s\b"
    r"|reg\s+delete\s",
    "remove-item": r"(?:Remove-Item|ri|rm|del)\s[^\n;|]{0,200}-Recurse\b",
    "bomb": r":\s?\(\s?\)\s?\{\s?:\s?\|\s?:\s?&\s?\}",
    "find": rf"{_PATH}find\s+(?:/|~|\.|\$HOME)\S{{0,80}}\s(?![^\n;|]{{0,200}}-i?name)[^\n;|]{{0,200}}(?:-delete\b"
    rf"|-exec\s+rm\b)",
    "modes": rf"{_PATH}chmod\s+(?:-\w{{0,4}}R\w{{0,4}}\s+|--recursive\s+)(?:0?777|a[+=]rwx|[+]rwx|ugo[+=]rwx)",
    "modes after": rf"{_PATH}chmod\s+(?:0?777|a[+=]rwx|ugo[+=]rwx)\s+(?:-R|--recursive)\b",
    "owner": rf"{_PATH}chown\s+(?:-\w{{0,4}}R\w{{0,4}}|--recursive)\s+\S{{1,60}}\s+/(?:\s|$|etc|usr|var|home|bin|root)",
    "processes": r"kill\s+-(?:9|KILL|SIGKILL)\s+-1\b|(?:pkill|killall)\s+-(?:9|KILL)\s|crontab\s+-r\b"
    r"|iptables\s+(?:-F|--flush)",
    "people": r"(?:userdel|deluser|groupdel)\s|net\s+user\s+\S{1,60}\s+/delete|Remove-(?:ADUser|LocalUser)\b",
    "truncate": r"truncate\s+(?:-s|--size)[ =]?0\b",
    # What version control and package registries cannot give back.
    "git push": r"git\s+(?:-\w\s+\S{1,80}\s+)?push\b(?![^\n;|&]{0,200}--force-with-lease)[^\n;|&]{0,200}"
    r"(?:\s--force\b|\s-\w{0,3}f\b|\s--mirror\b|\s--delete\b|\s-d\b|\s\+[\w/.-]{1,80}|\s:[\w/.-]{1,80})",
    "git": r"git\s+(?:-\w\s+\S{1,80}\s+)?(?:reset\s+(?:\S{1,40}\s+){0,3}--hard|clean\s+(?:-\w{1,6}\s+){0,2}-\w{0,6}f"
    r"|filter-branch"
    r"|filter-repo|update-ref\s+-d|reflog\s+expire|checkout\s+(?:-f|--force)\b)",
    "registries": r"(?:npm|pnpm|yarn)\s+unpublish\b|gem\s+yank\b|cargo\s+yank\b|gh\s+repo\s+delete\b"
    r"|gh\s+release\s+delete\b",
    # Infrastructure.
    "infrastructure": r"(?:terraform|tofu|terragrunt)\s[^\n;|]{0,200}(?:\bdestroy\b|-destroy\b|state\s+rm\b)|(?:pulumi"
    r"|cdk|sst"
    r"|serverless|sls)\s[^\n;|]{0,60}(?:\bdestroy\b|\bremove\b|\bstack\s+rm\b)|vagrant\s+destroy\b"
    r"|ansible\S{0,20}\s[^\n;|]{0,200}state=absent",
    "kubernetes": r"(?:kubectl|oc|k)\s(?![^\n;|]{0,300}--dry-run)[^\n;|]{0,120}\b(?:delete|drain)\s"
    r"|helm\s[^\n;|]{0,60}\b(?:uninstall|delete)\s"
    r"|kubectl\s[^\n;|]{0,120}\bscale\s[^\n;|]{0,120}--replicas=0\b",
    "containers": r"(?:docker|podman|nerdctl)(?:\s|-compose\s)[^\n;|]{0,60}(?:\bprune\b|\bvolume\s+rm\b"
    r"|\brmi?\s+(?:-\w+\s+){0,3}\$\(|\bdown\b[^\n;|]{0,60}(?:-v\b|--volumes))",
    "aws": r"aws\s[^\n;|]{0,120}\b(?:delete|terminate|deregister|purge|revoke"
    r"|schedule-key-deletion)(?:-[\w-]{1,60})?\b|aws\s+s3\s+(?:rb\b|rm\b[^\n;|]{0,300}--recursive"
    r"|sync\b[^\n;|]{0,300}--delete)",
    "clouds": r"(?:gcloud|az|bq|doctl|oci|ibmcloud|linode-cli|hcloud|scw|aliyun|openstack|eksctl|gsutil|heroku|fly"
    r"|flyctl|vercel|netlify|firebase|supabase|wrangler)"
    r"\s[^\n;|]{0,160}\b(?:delete|destroy|terminate|purge|remove|rb|rm\s+-r|apps:destroy|[\w-]{1,30}:delete"
    r"|db\s+reset)\b",
    # Clients of databases.
    "databases": r"(?:dropdb|dropuser)\s|mysqladmin\s[^\n;|]{0,160}\bdrop\b|redis-cli\s[^\n;|]{0,160}\bflush(?:all"
    r"|db)\b|flush(?:all|db)\b(?=\s|$)"
    r"|influx\s[^\n;|]{0,80}\bdelete\b|etcdctl\s[^\n;|]{0,80}\bdel\s[^\n;|]{0,80}--prefix"
    r"|zookeeper-shell\b[^\n;|]{0,80}deleteall",
    "migrations": r"(?:npx\s+|bunx\s+|pnpm\s+|yarn\s+)?prisma\s+(?:migrate\s+reset"
    r"|db\s+push\b[^\n;|]{0,80}--(?:force-reset|accept-data-loss))"
    r"|(?:bundle\s+exec\s+)?(?:rails|rake)\s+db:(?:drop|reset|purge)|(?:python3?\s+)?(?:\./)?manage\.py\s+(?:flush"
    r"|reset_db)|php\s+artisan\s+(?:migrate:(?:fresh|reset|refresh)|db:wipe)"
    r"|(?:alembic|flask\s+db)\s+downgrade\s+base|flyway\s+clean|liquibase\s+drop-?all",
    "kafka": r"kafka-(?:topics|delete-records|consumer-groups)(?:\.sh)?\s[^\n;|]{0,200}--delete\b"
    r"|rabbitmqctl\s+(?:reset|force_reset|purge_queue|delete_\w+)",
}

_SQL: Final[Mapping[str, str]] = {
    "drop": r"DROP\s+(?!TEMP)(?:TABLE|DATABASE|SCHEMA|VIEW|MATERIALIZED\s+VIEW|INDEX|USER|ROLE|TABLESPACE|KEYSPACE"
    r"|COLLECTION|SEQUENCE|FUNCTION"
    r"|PROCEDURE|TRIGGER|OWNED|WAREHOUSE|STAGE|STREAM|PARTITION|EXTENSION|LOGIN|CATALOG|DATASET|STORAGE)\b",
    "truncate": r"TRUNCATE\s+(?:TABLE\s+(?:ONLY\s+)?[\w.\"`\[\]#]|[\w.\"`\[\]#]{1,120}\s{0,4}(?:$|[;,\"'`)]|CASCADE"
    r"|RESTART))",
    "alter": r"ALTER\s+TABLE\s[^;]{1,160}?\bDROP\s+(?:COLUMN|PARTITION|CONSTRAINT)\b",
    "rights": r"REVOKE\s+\w[^;]{0,200}?\bFROM\b|GRANT\s+ALL\b[^;]{0,200}?\bTO\b|ALTER\s+(?:USER|ROLE"
    r"|LOGIN)\s[^;]{0,120}?\b(?:NOLOGIN|DISABLE|ACCOUNT\s+LOCK)",
}

_PROGRAMS: Final[Mapping[str, str]] = {
    "trees": r"\b(?:shutil\.rmtree|os\.removedirs|FileUtils\.rm_rf?|fs\.rm(?:dir)?(?:Sync)?|fse?\.(?:remove"
    r"|emptyDir)(?:Sync)?|os\.RemoveAll"
    r"|fs::remove_dir_all|Directory\.Delete|rimraf)\s{0,4}\(\s{0,4}(?![^)\n]{0,200}(?:tmp|temp|build|dist|cache"
    r"|node_modules))",
    "collections": r"\.(?:dropDatabase|drop_database|drop_collection|dropCollection|drop_all|dropAllTables|drop_table"
    r"|delete_table|flushall|flushdb|FlushAll)\s{0,4}\("
    r"|\.drop\(\s{0,4}\)|\.(?:deleteMany|delete_many|remove|deleteAll|updateMany|update_many)\(\s{0,4}(?:\{\s{0,4}\}"
    r"|\))"
    r"|\.objects\.all\(\s{0,4}\)\.delete\(|\.query(?:\([\w.]{0,60}\))?\.delete\(\s{0,4}\)"
    r"|(?<![\w.])[A-Z]\w{0,60}\.(?:delete_all|destroy_all)\b",
    "elastic": r"\bDELETE\s+/(?:_all|\*|[\w*-]{0,80}\*)(?:\s|$)|\b_delete_by_query\b[^\n]{0,300}match_all",
}

_RM: Final = rf"{_PATH}(?:rm|trash|srm)\s(?P<words>[^;&|\n`]{{1,600}})"
_SCRATCH: Final = re.compile(
    r"(?:\./)?(?:[\w./~$-]{0,120}/)?(?:node_modules|dist|build|out|target|coverage|__pycache__|\.(?:cache|next"
    r"|pytest_cache|mypy_cache"
    r"|ruff_cache|tox|gradle|turbo|nuxt|parcel-cache|eggs)|[\w.-]{1,60}\.egg-info|tmp|temp)(?:/[\w.*-]{0,80}){0,4}/?"
    r"|(?:/tmp|/var/tmp|/private/tmp|\$\{?TMPDIR\}?|\$\{?TMP\}?|%TEMP%)/[\w./-]{0,160}[\w-][\w./*-]{0,40}|\.DS_Store"
)
_ANYWHERE: Final = re.compile(r"(?:/|~/?|\.{1,2}/?|\$\{?HOME\}?/?|\./)?(?:\*|\.\*)|/[a-z]{0,12}/?\*?|[A-Za-z]:\\?\*?")
_ROWS: Final = (
    r"(?:DELETE\s+FROM\s+(?:ONLY\s+)?(?!/)[\w.\"`\[\]]"
    r"|UPDATE\s+(?:ONLY\s+)?[\w.\"`\[\]]{1,120}(?:\s+AS)?(?:\s+\w{1,40})?\s+SET\s)"
)
_TRUE_FOR_ALL: Final = re.compile(
    r"\bWHERE\s+\(?\s{0,4}(?:(?P<one>'?\w{1,20}'?)\s{0,4}=\s{0,4}(?P=one)(?![\w.'])|TRUE\b|1\s{0,4}(?:$|[;)])"
    r"|NOT\s+FALSE\b)"
    r"|\bOR\s+(?P<two>'?\w{1,20}'?)\s{0,4}=\s{0,4}(?P=two)(?![\w.'])|\bid\s{0,4}(?:IS\s+NOT\s+NULL|>\s{0,4}0"
    r"|LIKE\s+'%')\s{0,4}\)?\s{0,4}(?:$|[;\"'])",
    re.IGNORECASE,
)
_WHERE: Final = re.compile(r"\b(?:WHERE|LIMIT|USING|WHERE CURRENT)\b", re.IGNORECASE)
_REMARK: Final = re.compile(r"/\*.{0,400}?\*/", re.DOTALL)
_LINE_REMARK: Final = re.compile(r"--\s[^\n]{0,400}|--$", re.MULTILINE)
_TRANSIENT: Final = re.compile(
    r"\b(?:TEMP|TEMPORARY)\b|\b(?:te?mp|scratch|staging)_|_(?:te?mp|scratch|staging)\b|#\w", re.IGNORECASE
)


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{one})" for one in patterns), re.IGNORECASE | re.MULTILINE)


_COMMANDS: Final = _any_of(*SHELL.values())
_REMOVALS: Final = _any_of(_RM)
_STATEMENTS: Final = _any_of(*_SQL.values())
_ROW_STATEMENTS: Final = _any_of(_ROWS)
_CALLS: Final = re.compile("|".join(f"(?:{one})" for one in _PROGRAMS.values()), re.MULTILINE)
_HINTS: Final = re.compile(
    r"rm\b|rmdir|mkfs|wipefs|shred|blkdiscard|disk|/dev/|format|cipher|vssadmin|wbadmin|wevtutil|erase|reg\b"
    r"|recurse|:\s?\(|find|chmod|chown|kill|crontab|iptables|user|group|trunc|git\b|unpublish|yank|destroy|delete|drain"
    r"|uninstall|scale|prune|down|terminate|purge|remove|drop|flush|reset|fresh|wipe|clean|absent|--mirror"
    r"|revoke|grant|alter|update|rmtree|rimraf|empty|deregister|volume|trash|srm|\b(?:dd|del|rd|gh|rb)\b"
)
"""One of these words stands in every such command: without any, nothing else is looked for. In lower case."""


def destroys(text: str) -> bool:
    """Whether a text that is executed destroys data, infrastructure or access, or acts on everything at once.

    >>> destroys("cd /srv && rm -rf ./uploads"), destroys("rm -rf node_modules"), destroys("rm notes.tmp")
    (True, False, False)
    >>> destroys("DELETE FROM users"), destroys("DELETE FROM users WHERE id = 7"), destroys("SELECT 'DROP TABLE a'")
    (True, False, False)
    """
    low = lowered(text)
    if _HINTS.search(low) is None:
        return False
    marks = "" if _DEVICES in low else BEGINNING_MARKS
    if _CALLS.search(text) or any(_begins_command(text, at) for at in _beginnings(text, marks)):
        return True
    if not any(word in low for word in _STATEMENT_WORDS):
        return False
    bare = _LINE_REMARK.sub(" ", _REMARK.sub(" ", text))
    return any(_begins_statement(bare, at) for at in _beginnings(bare, BEGINNING_MARKS))


BEGINNING_MARKS: Final = "./:"
"""With these or a letter every command begins, but for what is written to a device: that may begin with anything."""
_DEVICES: Final = "/dev/"
_STATEMENT_WORDS: Final = ("drop", "truncate", "alter", "revoke", "grant", "delete", "update")
"""Each statement begins with one of them."""


def _beginnings(text: str, marks: str) -> Iterator[int]:
    """Where commands may begin, from left to right: before a letter or one of the marks, without marks anywhere."""
    last = -1
    for found in _BEGINS.finditer(text):
        end = found.end()
        if end > last:
            last = end
            if not marks or (end < len(text) and (text[end].isalpha() or text[end] in marks)):
                yield last


def _begins_command(text: str, at: int) -> bool:
    removal = _REMOVALS.match(text, at)
    return _COMMANDS.match(text, at) is not None or (removal is not None and _removes(removal["words"].split()))


def _removes(words: list[str]) -> bool:
    """Whether `rm` is of a tree, or of everything in a folder, that is not scratch by its name."""
    options = [word for word in words if word.startswith("-")]
    targets = [bare for word in words if not word.startswith("-") and (bare := word.strip("\"')"))]
    if any(word == "--recursive" or (word[1:2] != "-" and "r" in word.lower()) for word in options):
        return not targets or any(_SCRATCH.fullmatch(target) is None for target in targets)
    return any(_ANYWHERE.fullmatch(target) for target in targets)


def _begins_statement(text: str, at: int) -> bool:
    """SQL that drops, empties, takes rights, or changes rows without saying which."""
    found = _STATEMENTS.match(text, at)
    if found is not None:  # temporary tables do not last
        return _TRANSIENT.search(text, at, min(found.end() + 60, len(text))) is None
    return _ROW_STATEMENTS.match(text, at) is not None and _changes_all(_statement(text, at))


def _statement(text: str, at: int) -> str:
    end = text.find(";", at, at + _LONGEST)
    return text[at : end if end >= 0 else at + _LONGEST]


def _changes_all(statement: str) -> bool:
    return _WHERE.search(statement) is None or _TRUE_FOR_ALL.search(statement) is not None
