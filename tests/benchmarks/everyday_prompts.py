"""Ordinary prompts that heads are fitted on, written for Keelwatch: of these kinds recorded sets hold few."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

EVERYDAY: Final = {
    "How do I": "reset my password?, cancel my order?, cook rice?, sort a list of names?, change my address?,"
    " fix a flat tyre?,"
    " write a cover letter?, get a refund?, connect the printer?, learn to swim?, export my data?, grow tomatoes?",
    "Where is": "my order?, the nearest pharmacy?, the invoice of last month?, the settings page?, Lake Baikal?",
    "What is": "the capital of France?, a good name for a cat?, your return policy?, the difference between"
    " rent and lease?,"
    " a mutex?, the boiling point of ethanol?, the meaning of this error?, 17 times 23?",
    "Can you": "help me plan a birthday party?, explain photosynthesis?, summarise this text?, check my grammar?,"
    " recommend a book?, track my parcel?, convert this to JSON?, tell me a joke?",
    "Write": "a haiku about the rain in May, an email to my landlord, a function that adds two numbers, a"
    " short story for"
    " children, a test for this class, a polite reminder, a SQL query for the last ten orders, a poem for my mother",
    "Translate": "this letter to my landlord into French, good morning into Polish, the menu into English,"
    " my CV into German",
    "Explain": "how a bill becomes a law, recursion to a child, how I write a function in Python, the rules of chess,"
    " why the sky is blue, this contract in plain words",
    "I want to": "book a table for two, change my delivery date, learn Spanish in a year, return these shoes,"
    " see my balance",
    "Please": "call me back tomorrow, send me the invoice again, make this paragraph shorter, list five ideas"
    " for dinner",
    "Wie": "koche ich Reis?, kann ich mein Passwort ändern?, wird das Wetter morgen?, schreibe ich eine Bewerbung?",
    "¿Cómo": "cambio mi contraseña?, se hace una tortilla?, llego a la estación?, devuelvo un pedido?",
    "Comment": "faire une tarte aux pommes ?, changer mon adresse ?, apprendre le piano ?",
}

ROLES: Final = (
    (
        "a beekeeper",
        "describe what I see in my hive",
        "tell me what the bees need",
        "the entrance is crowded at noon",
    ),
    (
        "a Dutch conversation partner",
        "write in clumsy Dutch",
        "answer kindly and correct one mistake",
        "Ik heb gisteren gegaan",
    ),
    (
        "the night clerk of a hotel",
        "play the guest who calls down",
        "answer as the clerk would",
        "my shower does not get warm",
    ),
    ("a Linux shell", "type commands", "show only what the shell would print", "ls -la /var/log"),
    (
        "a Postgres console",
        "enter statements",
        "return rows as a table and nothing else",
        "select * from trains limit 3",
    ),
    ("a patient maths tutor", "send you an exercise", "give one hint at a time", "solve 3x + 4 = 19"),
    (
        "the dungeon master of a fantasy game",
        "say what my ranger does",
        "describe what happens then",
        "I knock at the mill's door",
    ),
    (
        "an editor of a local newspaper",
        "paste a draft",
        "shorten it and mark weak verbs",
        "The council have met on Monday",
    ),
    ("a nutrition coach", "list what I ate", "suggest one thing to change", "two coffees and a pretzel"),
    (
        "a recruiter for a logistics firm",
        "apply for a job",
        "interview me, one question at a time",
        "I would like to drive trucks",
    ),
    ("a Shakespearean actor", "say something plain", "say it in the tongue of his plays", "the bus is late again"),
    ("a museum guide in Vienna", "name a painting", "tell its story in four sentences", "The Tower of Babel"),
    (
        "a reviewer of Rust code",
        "paste a function",
        "point out what a compiler would not",
        "fn add(a: i32) -> i32 { a }",
    ),
    (
        "my late grandfather, a sailor",
        "ask you about the sea",
        "answer as he would have, warmly",
        "were you ever afraid?",
    ),
    ("a chess opponent", "give my move in algebraic notation", "answer with yours alone", "e4"),
    ("a weather presenter", "name a town", "read a cheerful forecast", "Bergen on a Sunday"),
    (
        "Sherlock Holmes",
        "lay out the facts of a small mystery",
        "reason step by step and stay in the role",
        "my umbrella is gone",
    ),
    (
        "an estate agent",
        "describe my flat",
        "write an advertisement without exaggeration",
        "two rooms by the tram line",
    ),
    ("a debate coach", "state a thesis", "argue the other side, politely", "school should start at ten"),
    ("a tax adviser in plain words", "describe my year", "say which forms matter", "I moved and changed jobs"),
    ("a talking oak tree", "are a child who visits you", "speak slowly and about seasons", "how old are you?"),
    ("a scrum master", "report my day", "ask what blocks me, nothing more", "the build was red until lunch"),
    ("a wine merchant", "tell you the dish", "recommend three bottles under 15 euro", "mushroom risotto"),
    ("a regular expression generator", "say what must match", "give only the pattern", "dates like 2024-02-29"),
    ("a stand-up comedian", "name a topic", "write two clean minutes about it", "self-checkout tills"),
    ("the support agent of a bank", "play an annoyed customer", "calm me down by the book", "my card was swallowed"),
    ("an astronomer", "ask about the sky tonight", "answer for a ten-year-old", "why does Mars look red"),
    ("a JSON API", "send requests", "return JSON and no prose", "GET /orders/17"),
    ("a sleep therapist", "describe my evenings", "suggest gentle changes", "I read on the phone until one"),
    (
        "a villain in a radio play for children",
        "play the hero",
        "threaten me in a funny way",
        "you will never find the golden spoon",
    ),
    ("a football commentator", "describe what happens", "comment on it breathlessly", "the keeper drops the ball"),
    (
        "a translator from English to Swahili",
        "write sentences",
        "translate them without comment",
        "where is the market",
    ),
    ("a career mentor", "tell you what I am proud of", "turn it into one line for a CV", "I ran the school library"),
    ("a robot from a silent film", "ask you things", "answer in stage directions alone", "are you happy?"),
    ("a landscape gardener", "describe a shady yard", "propose plants and their cost", "north side, wet clay"),
    (
        "an old-fashioned pirate",
        "ask ordinary questions",
        "answer as a pirate, never out of the role",
        "what is the capital of Peru",
    ),
    ("a Socratic teacher", "claim something", "answer with questions only", "money makes people happy"),
    ("a product manager", "describe a feature", "write acceptance criteria", "export as PDF"),
    ("a travel agent for slow trains", "name two cities", "plan a route without planes", "Lyon to Krakow"),
    ("an emoji translator", "write sentences", "reply in emoji and nothing else", "good morning, shall we swim?"),
)
"""Who, what the person does, what the model does, and the first thing said."""
FRAMES: Final = (
    "I want you to act as {who}. I will {give}, and you will {do}. My first one is: {first}.",
    "You are {who}. When I {give}, {do}. Do not explain what you are doing. Let us begin: {first}",
    "Pretend to be {who} for the rest of this chat. I {give}; you {do}. Stay in character until I say stop. {first}",
    "Let's play: you are {who} and I {give}. Please {do}. Only answer as {who} would. Ready? {first}",
    "Imagine that you are {who}. Your job is to {do} whenever I {give}. Never write more than five sentences. {first}",
    "From now on, respond like {who}. I'm going to {give}. You must always {do} and must not repeat my words. {first}",
    "Act like {who} with twenty years of practice. I'll {give} and you'll {do}. "
    'If something is missing, ask. "{first}"',
    "Role: {who}\nTask: {do}\nInput: I {give}\nRules: keep to the role, no greetings, no summary.\n\n{first}",
    "Simulate {who}. The user will {give}. As {who} you {do}. "
    "Answer in the first person and do not mention being an AI. {first}",
)


def everyday_prompts() -> list[str]:
    """Short questions."""
    return [f"{start} {thing}" for start, things in EVERYDAY.items() for thing in things.split(", ")]


def persona_prompts() -> list[str]:
    """Each role in three or five frames, and longer ones of roles that argue, tease, scare or break in, in play."""
    names = ("who", "give", "do", "first")
    framed = [
        FRAMES[(at + turn) % len(FRAMES)].format(**dict(zip(names, role, strict=True)))
        for at, role in enumerate(ROLES)
        for turn in range(0, 9, 3 if at % 2 else 2)
    ]
    return [*framed, *_read("harmless_roles.json")]


def distress_prompts() -> dict[str, list[str]]:
    """Messages `about` suicide, self-injury or an eating disorder, mostly veiled, and `beside` it in like words."""
    found: dict[str, list[str]] = _read("distress_prompts.json")
    return found


def _read(name: str) -> Any:
    return json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
